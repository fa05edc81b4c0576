package kubelet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var start0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// scene is a pod and what the runtime has of it, in a few words.
type scene struct {
	policy  corev1.RestartPolicy
	inits   []corev1.Container
	mains   []string
	sandbox string // "", ready, gone
	// runs: name → "running", "exit N [restarts] [after]", "created"
	runs   map[string]string
	change func(*input)
}

func (s scene) input() input {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u"}}
	pod.Spec.RestartPolicy = s.policy
	if s.policy == "" {
		pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	pod.Spec.InitContainers = s.inits
	for _, m := range s.mains {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: m, Image: "i"})
	}
	in := input{pod: pod, now: start0, seen: &observed{containers: map[string][]*container{}}, waits: map[string]*restartWait{},
		probes: map[string]probeState{}, hashes: hashes(pod), pulling: map[string]*pullState{}}
	switch s.sandbox {
	case "ready":
		in.seen.sandbox = &runtimeapi.PodSandboxStatus{Id: "box", Metadata: &runtimeapi.PodSandboxMetadata{}}
	case "gone":
		in.seen.sandbox = &runtimeapi.PodSandboxStatus{Id: "box", State: runtimeapi.PodSandboxState_SANDBOX_NOTREADY, Metadata: &runtimeapi.PodSandboxMetadata{}}
	}
	for name, text := range s.runs {
		c := &container{id: "id-" + name, name: name, sandbox: "box", hash: in.hashes[name], started: start0.Add(-20 * time.Second), created: start0.Add(-21 * time.Second)}
		word, rest, _ := strings.Cut(text, " ")
		switch word {
		case "running":
			c.state = runtimeapi.ContainerState_CONTAINER_RUNNING
		case "created":
			c.state = runtimeapi.ContainerState_CONTAINER_CREATED
		case "exit":
			c.state, c.finished = runtimeapi.ContainerState_CONTAINER_EXITED, start0.Add(-5*time.Second)
			fmt.Sscan(rest, &c.exitCode, &c.restarts)
		}
		in.seen.containers[name] = []*container{c}
	}
	if s.change != nil {
		s.change(&in)
	}
	return in
}

// say prints a plan in a line.
func say(p plan) string {
	var out []string
	for _, a := range p.do {
		text := string(a.kind)
		switch {
		case a.container != nil:
			text += " " + a.container.Name
			if a.restarts > 0 {
				text += fmt.Sprintf(" (%d)", a.restarts)
			}
		case a.kill != nil:
			text += " " + a.kill.name
		}
		out = append(out, text)
	}
	for name, w := range p.waiting {
		out = append(out, name+" waits: "+w.Reason)
	}
	if !p.next.IsZero() {
		out = append(out, "again in "+p.next.Sub(start0).String())
	}
	if p.done {
		out = append(out, "done")
	}
	return strings.Join(out, ", ")
}

func TestStep(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	init1, side := corev1.Container{Name: "init", Image: "i"}, corev1.Container{Name: "side", Image: "i", RestartPolicy: &always}
	deleted := func(in *input) { now := metav1.NewTime(start0); in.pod.DeletionTimestamp = &now }
	for name, c := range map[string]struct {
		scene
		want string
	}{
		"a new pod gets a sandbox":                     {scene{mains: []string{"a"}}, "create sandbox"},
		"then its containers":                          {scene{mains: []string{"a", "b"}, sandbox: "ready"}, "start container a, start container b"},
		"running is at rest":                           {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "running"}}, ""},
		"init containers come first":                   {scene{inits: []corev1.Container{init1}, mains: []string{"a"}, sandbox: "ready"}, "start container init"},
		"and are waited for":                           {scene{inits: []corev1.Container{init1}, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"init": "running"}}, ""},
		"after init the others":                        {scene{inits: []corev1.Container{init1}, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"init": "exit 0"}}, "start container a"},
		"a failed init container is tried again":       {scene{inits: []corev1.Container{init1}, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"init": "exit 1"}}, "start container init (1)"},
		"but not with Never":                           {scene{policy: corev1.RestartPolicyNever, inits: []corev1.Container{init1}, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"init": "exit 1"}}, ""},
		"a sidecar must have started":                  {scene{inits: []corev1.Container{side}, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"side": "running"}}, ""},
		"a started sidecar lets the others go":         {scene{inits: []corev1.Container{side}, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"side": "running"}, change: func(in *input) { in.probes["side"] = probeState{started: true} }}, "start container a"},
		"the first end is followed by a start at once": {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "exit 0"}}, "start container a (1)"},
		"the second waits ten seconds from the end":    {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "exit 1 1"}, change: func(in *input) { in.waits["a"] = &restartWait{delay: 10 * time.Second} }}, "a waits: CrashLoopBackOff, again in 5s"},
		"OnFailure leaves success alone":               {scene{policy: corev1.RestartPolicyOnFailure, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "exit 0"}}, ""},
		"OnFailure starts failure again":               {scene{policy: corev1.RestartPolicyOnFailure, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "exit 2"}}, "start container a (1)"},
		"Never leaves failure alone":                   {scene{policy: corev1.RestartPolicyNever, mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "exit 2"}}, ""},
		"another image is another run":                 {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "running"}, change: func(in *input) { in.hashes["a"] = "new" }}, "kill container a"},
		"a failed liveness probe kills":                {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "running"}, change: func(in *input) { in.probes["a"] = probeState{kill: "failed", id: "id-a"} }}, "kill container a"},
		"but not the run after it":                     {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "running"}, change: func(in *input) { in.probes["a"] = probeState{kill: "failed", id: "older"} }}, ""},
		"a lost sandbox is replaced":                   {scene{mains: []string{"a"}, sandbox: "gone", runs: map[string]string{"a": "exit 137"}}, "stop sandbox, create sandbox"},
		"unless the pod has done its work":             {scene{policy: corev1.RestartPolicyNever, mains: []string{"a"}, sandbox: "gone", runs: map[string]string{"a": "exit 0"}}, "done"},
		"an image that is being pulled is waited for":  {scene{mains: []string{"a"}, sandbox: "ready", change: func(in *input) { in.pulling["a"] = &pullState{pending: true} }}, ""},
		"a failed pull waits for its time":             {scene{mains: []string{"a"}, sandbox: "ready", change: func(in *input) { in.pulling["a"] = &pullState{reason: "ErrImagePull", retry: start0.Add(time.Second)} }}, "a waits: ErrImagePull, again in 1s"},
		"deletion kills":                               {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "running"}, change: deleted}, "kill container a"},
		"then stops the sandbox":                       {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "exit 0"}, change: deleted}, "stop sandbox"},
		"then is done":                                 {scene{mains: []string{"a"}, sandbox: "gone", runs: map[string]string{"a": "exit 0"}, change: deleted}, "done"},
		"a deleted pod that never ran is done":         {scene{mains: []string{"a"}, change: deleted}, "done"},
		"a deadline is looked at in time": {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "running"}, change: func(in *input) {
			s, at := int64(30), metav1.NewTime(start0)
			in.pod.Spec.ActiveDeadlineSeconds, in.pod.Status.StartTime = &s, &at
		}}, "again in 30s"},
		"a pod past its deadline ends": {scene{mains: []string{"a"}, sandbox: "ready", runs: map[string]string{"a": "running"}, change: func(in *input) { in.ended = true }}, "kill container a"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := say(step(c.input())); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBackOffDoubles(t *testing.T) {
	w := &restartWait{}
	var got []string
	for range 7 {
		w.raise(start0)
		got = append(got, w.delay.String())
	}
	if want := "10s 20s 40s 1m20s 2m40s 5m0s 5m0s"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestExpand(t *testing.T) {
	env := []variable{{"A", "1"}, {"B", "2"}}
	for in, want := range map[string]string{
		"": "", "plain": "plain", "$(A)": "1", "x$(A)y$(B)": "x1y2", "$$(A)": "$(A)", "$(NONE)": "$(NONE)", "$(A": "$(A", "$": "$", "a$b": "a$b", "$$$(A)": "$1",
	} {
		if got := expand(in, lookup(env)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWriteAtomically(t *testing.T) {
	dir := t.TempDir()
	write := func(files map[string]projected) {
		t.Helper()
		if err := writeAtomically(dir, files, -1); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string { b, _ := readTail(dir+"/"+name, 100); return string(b) }
	write(map[string]projected{"a": {[]byte("1"), 0o644}, "d/b": {[]byte("2"), 0o600}})
	if read("a") != "1" || read("d/b") != "2" {
		t.Errorf("a=%q d/b=%q", read("a"), read("d/b"))
	}
	write(map[string]projected{"a": {[]byte("3"), 0o644}})
	if read("a") != "3" || read("d/b") != "" {
		t.Errorf("after the change: a=%q d/b=%q", read("a"), read("d/b"))
	}
}

func TestLogLines(t *testing.T) {
	for _, c := range []struct{ in, stream, text, want string }{
		{"2026-01-01T00:00:00.1Z stdout F hello\n", "stdout", "hello\n", ""},
		{"2026-01-01T00:00:00.1Z stderr P part\n", "stderr", "part", ""},
		{"2026-01-01T00:00:00.1Z stdout F \n", "stdout", "\n", ""},
		{"torn", "", "", "bad"}, {"", "", "", "bad"}, {"x stdin F y\n", "", "", "bad"},
	} {
		l, err := parseLogLine([]byte(c.in))
		if (err != nil) != (c.want == "bad") || err == nil && (l.stream != c.stream || string(l.text) != c.text) {
			t.Errorf("%q: %+v %v", c.in, l, err)
		}
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add([]byte("2026-01-01T00:00:00.1Z stdout F hello\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { parseLogLine(b) })
}
