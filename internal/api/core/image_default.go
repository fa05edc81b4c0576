package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// pullPolicy is Always for images whose tag is, or would be, latest. Names that
// cannot be parsed have no tag.
func pullPolicy(image string) corev1.PullPolicy {
	if tag, ok := imageTag(image); ok && tag == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// imageTag is the tag of an image's name: latest when it has neither tag nor digest.
func imageTag(image string) (tag string, ok bool) {
	name, digest, hasDigest := strings.Cut(image, "@")
	// A colon after the last slash begins the tag; one before it a registry's port.
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
		if !validTag(tag) {
			return "", false
		}
	}
	if !validRepository(name) || hasDigest && !validDigest(digest) {
		return "", false
	}
	if tag == "" && !hasDigest {
		tag = "latest"
	}
	return tag, true
}

func wordByte(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func validTag(t string) bool {
	if t == "" || len(t) > 128 || !wordByte(t[0]) {
		return false
	}
	for i := range len(t) {
		if !wordByte(t[i]) && t[i] != '.' && t[i] != '-' {
			return false
		}
	}
	return true
}

// validRepository tells whether each part of the path is lower-case words joined by
// one dot, one or two underscores, or hyphens. The first part may be a registry.
func validRepository(name string) bool {
	first, rest, more := strings.Cut(name, "/")
	if more && (strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first) {
		if !validRegistry(first) {
			return false
		}
		name = rest
	} else if len(name) == 64 && strings.Trim(name, "0123456789abcdef") == "" {
		return false // an image's identifier, not a name
	}
	if len(name) > 255 {
		return false
	}
	for {
		part, next, more := strings.Cut(name, "/")
		if !validPathPart(part) {
			return false
		}
		if !more {
			return true
		}
		name = next
	}
}

func validPathPart(p string) bool {
	word := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	if p == "" || !word(p[0]) || !word(p[len(p)-1]) {
		return false
	}
	for i := 1; i < len(p); {
		if word(p[i]) {
			i++
			continue
		}
		from, c := i, p[i]
		for i < len(p) && p[i] == c {
			i++
		}
		n := i - from
		if !word(p[i]) || c != '-' && (c != '.' || n > 1) && (c != '_' || n > 2) {
			return false
		}
	}
	return true
}

func validRegistry(host string) bool {
	if strings.HasPrefix(host, "[") {
		return strings.Contains(host, "]")
	}
	name, port, hasPort := strings.Cut(host, ":")
	if hasPort && (port == "" || strings.Trim(port, "0123456789") != "") {
		return false
	}
	for _, part := range strings.Split(name, ".") {
		if part == "" || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
		for i := range len(part) {
			if c := part[i]; !wordByte(c) && c != '-' || c == '_' {
				return false
			}
		}
	}
	return true
}

func validDigest(d string) bool {
	algorithm, hex, ok := strings.Cut(d, ":")
	return ok && algorithm != "" && len(hex) >= 32 && strings.Trim(hex, "0123456789abcdefABCDEF") == ""
}
