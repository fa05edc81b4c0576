package http2

import (
	"net/http"
	"strings"
)

// names are headers that are usual at a Kubernetes API server, as Go writes them. Others
// work as well, they only cost an allocation.
var names = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Encoding",
	"Content-Length", "Content-Type", "Cookie", "Date", "Etag", "Expect", "Host", "If-Match", "If-Modified-Since",
	"If-None-Match", "Kubectl-Command", "Kubectl-Session", "Last-Modified", "Location", "Origin", "Range", "Referer",
	"Retry-After", "Server", "Set-Cookie", "Te", "Traceparent", "Tracestate", "Trailer", "User-Agent", "Vary", "Warning",
	"Audit-Id", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Strict-Transport-Security",
	"X-Content-Type-Options", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
	"X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid", "X-Remote-User", "X-Remote-Group",
	"Access-Control-Allow-Origin", "Grpc-Status", "Grpc-Message",
}

// toWire and toGo translate between the two ways to write a header's name.
var toWire, toGo = translations()

func translations() (wire, goes map[string]string) {
	wire, goes = make(map[string]string, len(names)), make(map[string]string, len(names))
	for _, n := range names {
		l := strings.ToLower(n)
		wire[n], goes[l] = l, n
	}
	return wire, goes
}

func canonical(lower string) string {
	if n, ok := toGo[lower]; ok {
		return n
	}
	return http.CanonicalHeaderKey(lower)
}

func lower(name string) string {
	if n, ok := toWire[name]; ok {
		return n
	}
	return strings.ToLower(name)
}
