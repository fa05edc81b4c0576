package http2

import (
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// TestH2spec runs the conformance tests of github.com/summerwind/h2spec, where they are installed.
func TestH2spec(t *testing.T) {
	program, err := exec.LookPath("h2spec")
	if err != nil {
		t.Skip("h2spec is not in PATH (go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible)")
	}
	ts, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // some tests break requests off that must not be answered before
		w.Write([]byte(strings.Repeat("x", 1000)))
	}, func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{MaxReadFrameSize: firstFrame} }) // some tests expect the default
	_, port, _ := net.SplitHostPort(ts.Listener.Addr().String())
	out, err := exec.Command(program, "--tls", "--insecure", "--strict", "--timeout", "1", "--host", "127.0.0.1", "--port", port).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 failed") {
		t.Errorf("%v\n%s", err, out)
	}
}
