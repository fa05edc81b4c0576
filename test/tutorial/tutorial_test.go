// Package tutorial runs the tutorials that Skiff was built after: every command
// printed in them, with unmodified kubectl, on a node of its own with real
// containers, and checks what is printed.
//
// The scripts are in testdata, one per chapter. Beside the commands of testscript they have
//
//	eventually REGEXP COMMAND...   repeat COMMAND until its output matches
//	capture NAME COMMAND...        keep the output, trimmed, in $NAME
//	spread N COMMAND...            repeat COMMAND until N different outputs were seen
//
// The node lives in network and mount namespaces of the test's own: nothing of
// the host is touched, and what the node makes is compared before and after.
package tutorial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// inside tells the process that runs in the namespaces.
const inside = "SKIFF_TUTORIAL_INSIDE"

const (
	nodeIP    = "172.31.99.1"
	otherHost = "172.31.99.2"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("skipping the tutorials: they run containers, which needs root")
		os.Exit(0)
	}
	if os.Getenv(inside) == "" {
		os.Exit(enter())
	}
	os.Exit(m.Run())
}

// enter runs this program once more in new namespaces.
func enter() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestTutorial(t *testing.T) {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"skiff", "kubectl", "containerd", "runc", "skiff-cni"} {
		if _, err := os.Stat(filepath.Join(bin, p)); err != nil {
			t.Skipf("bin/%s is missing: run `make build` first", p)
		}
	}
	images, err := filepath.Abs("../images/out")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mount", "--make-rprivate", "/"}, {"mount", "--make-rshared", "/"},
		{"link", "set", "lo", "up"}, {"link", "add", "host0", "type", "veth", "peer", "name", "host1"},
		{"addr", "add", nodeIP + "/24", "dev", "host0"}, {"link", "set", "host0", "up"}, {"link", "set", "host1", "up"},
		{"route", "add", "default", "via", otherHost},
	} {
		name := "ip"
		if args[0] == "mount" {
			name, args = "mount", args[1:]
		}
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	// One after the other: there is one network namespace.
	for _, script := range scripts {
		t.Run("script", func(t *testing.T) { runScript(t, script, bin, images) })
	}
}

func runScript(t *testing.T, script, bin, images string) {
	testscript.Run(t, testscript.Params{
		Files: []string{script},
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("KUBECONFIG", filepath.Join(e.WorkDir, "data", "admin.kubeconfig"))
			e.Setenv("IMAGES", images)
			e.Setenv("NODE_IP", nodeIP)
			data := e.Getenv("DATA")
			e.Defer(func() {
				if _, err := os.Stat(data); err != nil {
					return
				}
				if t.Failed() {
					dump(t, bin, data)
				}
				if out, err := exec.Command(filepath.Join(bin, "skiff"), "reset", "-f", "--data-dir", data).CombinedOutput(); err != nil {
					t.Errorf("reset: %v\n%s", err, out)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": eventually, "capture": capture, "spread": spread, "hoststate": hostState,
		},
	})
}

// dump shows what a failed script's node has to say.
func dump(t *testing.T, bin, data string) {
	log, _ := os.ReadFile(filepath.Join(data, "skiff.log"))
	t.Logf("skiff.log:\n%s", log[max(0, len(log)-8000):])
	cmd := exec.Command(filepath.Join(bin, "kubectl"), "--kubeconfig", filepath.Join(data, "admin.kubeconfig"), "--request-timeout=5s", "get", "events,pods", "-A", "-o", "wide")
	out, _ := cmd.CombinedOutput()
	t.Logf("%s", out)
}

func output(ts *testscript.TestScript, args []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path := args[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p := filepath.Join(dir, args[0]); !strings.Contains(path, "/") {
			if _, err := os.Stat(p); err == nil {
				path = p
			}
		}
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "KUBECONFIG="+ts.Getenv("KUBECONFIG"), "PATH="+ts.Getenv("PATH"))
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// patience is how long eventually and spread go on.
const patience = 2 * time.Minute

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: eventually REGEXP COMMAND...")
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if out = output(ts, args[1:]); re.MatchString(out) {
			ts.Logf("%s", out)
			return
		}
	}
	ts.Fatalf("%v never printed %q; last:\n%s", args[1:], args[0], out)
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: capture NAME COMMAND...")
	}
	v := strings.TrimSpace(output(ts, args[1:]))
	ts.Logf("%s=%s", args[0], v)
	ts.Setenv(args[0], v)
}

func spread(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: spread N COMMAND...")
	}
	seen := map[string]int{}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		seen[strings.TrimSpace(output(ts, args[1:]))]++
		if fmt.Sprint(len(seen)) == args[0] {
			ts.Logf("%v", seen)
			return
		}
	}
	ts.Fatalf("%v gave %d different outputs, want %s: %v", args[1:], len(seen), args[0], seen)
}

// hostState keeps or compares what a node could leave on a host:
//
//	hoststate save    before
//	hoststate compare after
func hostState(ts *testscript.TestScript, _ bool, args []string) {
	file := filepath.Join(ts.Getenv("HOME"), ".hoststate")
	now := hostFacts()
	if len(args) == 1 && args[0] == "save" {
		ts.Check(os.WriteFile(file, []byte(now), 0o644))
		return
	}
	was, err := os.ReadFile(file)
	ts.Check(err)
	// Interfaces and cgroups are taken away by the kernel a moment later.
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if now = hostFacts(); now == string(was) {
			return
		}
	}
	ts.Fatalf("the host is not as it was.\nbefore:\n%s\nafter:\n%s", was, now)
}

func hostFacts() string {
	var b bytes.Buffer
	section := func(name string, lines []string) { fmt.Fprintf(&b, "== %s\n%s\n", name, strings.Join(lines, "\n")) }
	run := func(name string, args ...string) []string {
		out, _ := exec.Command(name, args...).Output()
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	section("links", run("ip", "-o", "-br", "link"))
	section("routes", run("ip", "route"))
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	var points []string
	for _, l := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(l); len(f) > 4 {
			points = append(points, f[4])
		}
	}
	section("mounts", points)
	// These the whole host shares; those of other tests come and go beside this one.
	shared := func(patterns ...string) (found []string) {
		for _, p := range patterns {
			files, _ := filepath.Glob(p)
			found = append(found, files...)
		}
		return slices.DeleteFunc(found, func(f string) bool { return strings.HasPrefix(filepath.Base(f), "skiff-test-") })
	}
	section("cgroups", shared("/sys/fs/cgroup/*/skiff*", "/sys/fs/cgroup/skiff*"))
	section("run", shared("/run/skiff*"))
	procs, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	own, _ := os.Readlink("/proc/self/ns/net")
	var names []string
	for _, p := range procs {
		if ns, _ := os.Readlink(p); ns == own {
			comm, _ := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(p)), "comm"))
			if n := strings.TrimSpace(string(comm)); strings.HasPrefix(n, "containerd") || n == "skiff" || n == "pause" {
				names = append(names, n)
			}
		}
	}
	section("processes", names)
	return b.String()
}
