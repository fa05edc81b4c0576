package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	routes := (&server{version: "v7"}).routes()
	get := func(path string) (int, string) {
		rec := httptest.NewRecorder()
		routes.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		return rec.Code, rec.Body.String()
	}
	for _, step := range []struct {
		path string
		code int
		text string
	}{
		{"/", 200, "Version: v7\n"}, {"/healthz", 200, "ok"}, {"/healthz/fail", 200, "failing"}, {"/healthz", 500, "failing"},
		{"/readyz", 200, "ok"}, {"/healthz/ok", 200, "ok"}, {"/healthz", 200, "ok"}, {"/echo?msg=hi", 200, "hi\n"}, {"/nothing", 404, ""},
		{"/clientip", 200, "192.0.2.1:1234"}, {"/load?mem=1", 200, "keeping 1 pieces"},
	} {
		if code, text := get(step.path); code != step.code || !strings.Contains(text, step.text) {
			t.Errorf("%s: %d %q, want %d %q", step.path, code, text, step.code, step.text)
		}
	}
}
