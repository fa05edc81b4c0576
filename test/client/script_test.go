// Package client runs real clients, unmodified, against a Skiff server.
//
// The programs (several versions of kubectl, helm, kustomize) are built by build
// and run by the scripts in testdata; clientgo and operator are Go tests built on
// client-go and controller-runtime. Each script has a server of its own, without a
// node: pods are objects that nobody runs. Read testdata/kubectl first.
// The scripts of testdata/newest are run by the newest kubectl only; testdata/objects,
// $OBJECTS to the scripts, holds one filled object of every kind. What the scripts
// compare with cmp is written anew by `go test . -rewrite`: read the difference.
//
// Beside the commands and conditions of testscript the scripts have
//
//	eventually REGEXP COMMAND...   repeat COMMAND until its output matches
//	capture NAME COMMAND...        keep the output, trimmed, in $NAME
//	follow NAME COMMAND...         run COMMAND until the script ends, its output in the file NAME
//	masked COMMAND...              run COMMAND; its output without what differs from run to run (see mask)
//	[is:PROGRAM]                   the program that the script runs with, such as kubectl-0.31
package client

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/skiff-k8s/skiff/test/client/instance"
)

var (
	rewrite = flag.Bool("rewrite", false, "write the files that scripts compare with anew")
	goOn    = flag.Bool("continue", false, "go on after what fails in a script")
)

// programs are what the scripts of a folder run with: the name in the scripts, and the program.
var programs = []struct{ folder, name, file string }{
	{"newest", "kubectl", "kubectl"},
	{"kubectl", "kubectl", "kubectl"},
	{"kubectl", "kubectl", "clients/kubectl-0.34"},
	{"kubectl", "kubectl", "clients/kubectl-0.31"},
	{"helm", "helm", "clients/helm-4"},
	{"helm", "helm", "clients/helm-3"},
	{"kustomize", "kustomize", "clients/kustomize"},
}

// some are the scripts of a program that runs only some: between the oldest and the
// newest kubectl those whose commands changed most.
var some = map[string][]string{
	"kubectl-0.34": {"apply", "apply_server_side", "change", "crd", "discovery", "explain", "get", "pod", "wait"},
}

func TestMain(m *testing.M) {
	flag.Parse()
	// Scripts wait for processes and for time to pass rather than compute.
	if err := flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestScripts(t *testing.T) {
	for _, p := range programs {
		bin := filepath.Join(instance.Bin(), p.file)
		name := filepath.Base(p.file)
		if p.folder == "newest" {
			name = p.folder
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(bin); err != nil {
				t.Skipf("bin/%s is missing: run `make clients` first", p.file)
			}
			runScripts(t, p.folder, p.name, bin)
		})
	}
}

func runScripts(t *testing.T, folder, name, bin string) {
	objects, err := filepath.Abs(filepath.Join("testdata", "objects"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, f := range some[filepath.Base(bin)] {
		files = append(files, filepath.Join("testdata", folder, f+".txt"))
	}
	dir := filepath.Join("testdata", folder)
	if files != nil {
		dir = ""
	}
	testscript.Run(t, testscript.Params{
		Dir:           dir,
		Files:         files,
		UpdateScripts: *rewrite, ContinueOnError: *goOn,
		// Left to itself testscript leaves a directory behind when only some scripts are run.
		WorkdirRoot: t.TempDir(),
		// A client that waits for somebody fails, not the whole run.
		Deadline: time.Now().Add(12 * time.Minute),
		Setup: func(e *testscript.Env) error {
			path := filepath.Join(e.WorkDir, ".bin")
			if err := os.Mkdir(path, 0o755); err != nil {
				return err
			}
			for name, file := range map[string]string{"kubectl": filepath.Join(instance.Bin(), "kubectl"), name: bin} {
				if err := os.Symlink(file, filepath.Join(path, name)); err != nil {
					return err
				}
			}
			s, err := instance.Start(e.WorkDir)
			if err != nil {
				return err
			}
			e.Defer(func() {
				s.Stop()
				if t.Failed() {
					t.Logf("the server's log:\n%s", s.Log())
				}
			})
			e.Setenv("PATH", path+":"+os.Getenv("PATH"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("EDITOR", "true")
			e.Setenv("OBJECTS", objects)
			// Programs that live for a moment need not collect garbage.
			e.Setenv("GOGC", "400")
			e.Setenv("KUBECONFIG", s.Kubeconfig)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			want, ok := strings.CutPrefix(cond, "is:")
			if !ok {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return filepath.Base(bin) == want, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": eventually, "capture": capture, "follow": follow, "masked": masked,
		},
	})
}

// command is a program of the script's PATH in the script's environment.
func command(ctx context.Context, ts *testscript.TestScript, args []string) *exec.Cmd {
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
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "KUBECONFIG="+ts.Getenv("KUBECONFIG"), "PATH="+ts.Getenv("PATH"), "GOGC="+ts.Getenv("GOGC"))
	return cmd
}

func output(ts *testscript.TestScript, args []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	out, err := command(ctx, ts, args).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v: %v", args, err)
	}
	return string(out)
}

// patience is how long eventually goes on.
const patience = 90 * time.Second

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: eventually REGEXP COMMAND...")
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var out string
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
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

// follow runs a command beside the script, for watches.
func follow(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: follow NAME COMMAND...")
	}
	out, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := command(ctx, ts, args[1:])
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cancel()
		// It was killed; that is its error.
		_ = cmd.Wait()
		out.Close()
		if stderr.Len() > 0 {
			ts.Logf("%v: %s", args[1:], stderr.Bytes())
		}
	})
}

// mask is what differs from run to run, and what stands in its place.
var mask = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`\b2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`\b[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 2[0-9]{3} [0-9:]{8} [+-][0-9]{4}`), "TIME"},
	{regexp.MustCompile(`\b([0-9]+y)?[0-9]{2,}d\b`), "LONG"},
	// A node that nobody runs is missed after a minute.
	{regexp.MustCompile(`\bNotReady,SchedulingDisabled\b`), "Ready,SchedulingDisabled"},
	// The age of something that the script made.
	{regexp.MustCompile(`(?m)( )([0-9]{1,2}s|[1-3]m[0-9]{0,2}s?)($| )`), "${1}AGE$3"},
}

func masked(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || neg {
		ts.Fatalf("usage: masked COMMAND...")
	}
	out := output(ts, args)
	for _, m := range mask {
		out = m.what.ReplaceAllString(out, m.by)
	}
	// Columns are as wide as what was in them.
	lines := strings.Split(out, "\n")
	for i, l := range lines {
		body := strings.TrimLeft(l, " ")
		lines[i] = l[:len(l)-len(body)] + strings.TrimRight(runs.ReplaceAllString(body, "  "), " ")
	}
	_, err := ts.Stdout().Write([]byte(strings.Join(lines, "\n")))
	ts.Check(err)
}

var runs = regexp.MustCompile(` {2,}`)
