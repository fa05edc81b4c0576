package apiserver

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Warnings quote what clients sent, so they are bounded as Kubernetes bounds them:
// when all together are too long, each is cut, and then only so many are told.
const (
	maxWarnings = 4 * 1024 // characters
	maxWarning  = 256
)

// warningHeaders are the values of the Warning headers: each text once, in order.
func warningHeaders(texts []string) []string {
	var kept []string
	seen := map[string]bool{"": true}
	total := 0
	for _, t := range texts {
		if !seen[t] {
			seen[t] = true
			kept = append(kept, t)
			total += utf8.RuneCountInString(t)
		}
	}
	out := make([]string, 0, len(kept))
	cut := total > maxWarnings
	written := 0
	for _, t := range kept {
		if cut {
			if written >= maxWarnings {
				break
			}
			t = firstRunes(t, maxWarning)
			written += utf8.RuneCountInString(t)
		}
		out = append(out, "299 - "+strconv.Quote(strings.ToValidUTF8(t, "?")))
	}
	return out
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
