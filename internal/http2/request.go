package http2

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	xhttp2 "golang.org/x/net/http2"
)

// makeRequest makes the request of the block of headers just read. c.mu is held.
func (c *conn) makeRequest(st *stream) error {
	bad := func(why string) error { return streamError{st.id, xhttp2.ErrCodeProtocol, why} }
	p := &c.block.pseudo
	if why := p.check(c.block.tooLarge); why != "" {
		return bad(why)
	}
	h := c.takeHeader()
	host, why := takeHost(h, p)
	if why != "" {
		return bad(why)
	}
	u, uri, err := p.target(host, c.block.tooLarge)
	if err != nil {
		return bad(err.Error())
	}
	r := http.Request{
		Method: p.method, URL: u, RequestURI: uri, Host: host,
		Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: h, Body: http.NoBody,
		RemoteAddr: c.remote, TLS: c.tls,
	}
	length, why := contentLength(h)
	if why != "" {
		return bad(why)
	}
	if st.remoteDone {
		if length > 0 && !c.block.tooLarge {
			return bad("a Content-Length without a body")
		}
	} else {
		st.declared = length
		r.ContentLength, r.Body = length, &st.body
	}
	if expects, ok := h["Expect"]; ok && httpguts.HeaderValuesContainsToken(expects, "100-continue") {
		st.body.proceed = !st.remoteDone
		delete(h, "Expect")
	}
	if announced, ok := h["Trailer"]; ok {
		r.Trailer = trailersOf(announced)
		delete(h, "Trailer")
	}
	if cookies := h["Cookie"]; len(cookies) > 1 {
		h["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	var ctx context.Context
	ctx, st.cancel = context.WithCancel(c.base)
	st.r = r.WithContext(ctx)
	st.w.begin(st, p.method == http.MethodHead)
	return nil
}

// check tells which pseudo-headers are missing, or should be (RFC 9113, 8.3.1, 8.5).
// Of a list that was too large they may have been cut off.
func (p *pseudo) check(cut bool) string {
	switch {
	case cut:
		return ""
	case p.has&hasMethod == 0 || !validMethod(p.method):
		return "no method"
	case p.method == http.MethodConnect:
		if p.has&(hasPath|hasScheme) != 0 || p.authority == "" {
			return "CONNECT with a path or scheme, or without an authority"
		}
	case p.path == "":
		return "no path"
	case p.scheme != "https" && p.scheme != "http":
		return "no scheme that is known"
	}
	return ""
}

func validMethod(m string) bool {
	for _, r := range m {
		if !httpguts.IsTokenRune(r) {
			return false
		}
	}
	return m != ""
}

// target is what the request is for, and the text of it.
func (p *pseudo) target(host string, cut bool) (*url.URL, string, error) {
	switch {
	case cut:
		return &url.URL{Path: "/"}, "/", nil
	case p.method == http.MethodConnect:
		return &url.URL{Host: host}, host, nil
	case p.path[0] != '/' && p.path != "*":
		return nil, "", &url.Error{Op: "parse", URL: p.path, Err: url.InvalidHostError("path")}
	}
	u, err := url.ParseRequestURI(p.path)
	return u, p.path, err
}

// takeHeader makes the headers of a request: the values share one array.
func (c *conn) takeHeader() http.Header {
	fields := c.block.fields
	h := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for i, f := range fields {
		key := canonical(f.Name)
		values[i] = f.Value
		if have, ok := h[key]; ok {
			h[key] = append(have, f.Value)
			continue
		}
		h[key] = values[i : i+1 : i+1]
	}
	return h
}

// takeHost finds the host, which headers may tell as well, but not otherwise.
func takeHost(h http.Header, p *pseudo) (host, why string) {
	host = p.authority
	if have, ok := h["Host"]; ok {
		if len(have) > 1 || host != "" && have[0] != host {
			return "", "more than one host"
		}
		host = have[0]
		delete(h, "Host")
	}
	if strings.IndexByte(host, '@') >= 0 || host != "" && !httpguts.ValidHostHeader(host) {
		return "", "an authority that is none"
	}
	return host, ""
}

// contentLength is -1 if it is not told.
func contentLength(h http.Header) (n int64, why string) {
	told, ok := h["Content-Length"]
	if !ok {
		return -1, ""
	}
	for _, v := range told[1:] {
		if v != told[0] {
			return 0, "more than one Content-Length"
		}
	}
	v, err := strconv.ParseUint(told[0], 10, 63)
	if err != nil {
		return 0, "a Content-Length that is none"
	}
	return int64(v), ""
}

func trailersOf(announced []string) http.Header {
	t := http.Header{}
	for _, v := range announced {
		for k := range strings.SplitSeq(v, ",") {
			k = http.CanonicalHeaderKey(strings.TrimSpace(k))
			switch k {
			case "", "Transfer-Encoding", "Trailer", "Content-Length":
			default:
				t[k] = nil
			}
		}
	}
	if len(t) == 0 {
		return nil
	}
	return t
}
