package containerd

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// waitFor looks again and again, for what has no event to wait for.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}

// caught reports whether a process has set up what it does at SIGINT, the last of its signals.
func caught(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return strings.Contains(string(b), "SigCgt:\t0000000000004002")
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`/a/b`: "/a/b", `/a\040b`: "/a b", `/\134x`: `/\x`, `/end\04`: `/end\04`, `\999`: `\999`} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"nginx:1.7.9": "docker.io/library/nginx:1.7.9", "me/app:v1": "docker.io/me/app:v1", "me/app": "docker.io/me/app:latest",
		"registry.k8s.io/pause:3.10.1": "registry.k8s.io/pause:3.10.1", "latest": "", "Not/Valid:1": "",
	} {
		if got := normalize(in); got != want {
			t.Errorf("normalize(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{{"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false}, {"/", "/a", false}} {
		if got := below(c.path, c.dir); got != c.want {
			t.Errorf("below(%q, %q) = %t", c.path, c.dir, got)
		}
	}
}

func TestLastWords(t *testing.T) {
	o := Options{LogFile: t.TempDir() + "/log"}
	if got := o.lastWords(); got != "" {
		t.Errorf("of no log: %q", got)
	}
	if err := os.WriteFile(o.LogFile, []byte(strings.Repeat("old\n", 5000)+"level=fatal the reason\nlevel=warning by the way\n\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := o.lastWords(); got != "level=fatal the reason" {
		t.Errorf("got %q", got)
	}
}
