package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnified(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"a\n", "a\n", ""},
		{"", "a\nb\n", "--- o\n+++ n\n@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"a\nb\n", "", "--- o\n+++ n\n@@ -1,2 +0,0 @@\n-a\n-b\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n", "--- o\n+++ n\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"},
		{"x\n1\n2\n3\n4\n5\n6\n7\ny\n", "X\n1\n2\n3\n4\n5\n6\n7\nY\n",
			"--- o\n+++ n\n@@ -1,4 +1,4 @@\n-x\n+X\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-y\n+Y\n"},
	} {
		var out bytes.Buffer
		unified(&out, "o", "n", c.a, c.b)
		if out.String() != c.want {
			t.Errorf("%q → %q:\n%s\nwant\n%s", c.a, c.b, &out, c.want)
		}
	}
}

// What patch makes of the old text and the difference is the new text.
func TestUnifiedApplies(t *testing.T) {
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("there is no patch here")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range 1 + rng.IntN(40) {
			fmt.Fprintf(&b, "line %d\n", rng.IntN(6))
		}
		return b.String()
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	for range 60 {
		a, b := text(), text()
		var diff bytes.Buffer
		unified(&diff, "f", "f", a, b)
		if err := os.WriteFile(file, []byte(a), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(patch, "-s", "--fuzz=0", file)
		cmd.Stdin = &diff
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, &diff)
		}
		if got, _ := os.ReadFile(file); string(got) != b {
			t.Fatalf("got %q, want %q", got, b)
		}
	}
}
