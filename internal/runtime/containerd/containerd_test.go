package containerd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/skiff-k8s/skiff/internal/runtime"
	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

// programs are what Skiff's bin folder holds, with a CNI program built from here.
func programs(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("containers need root")
	}
	built, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "runc"} {
		if _, err := os.Stat(filepath.Join(built, name)); err != nil {
			t.Skipf("the runtime's programs are not built: %v", err)
		}
		if err := os.Symlink(filepath.Join(built, name), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(bin, "skiff-cni"), "github.com/skiff-k8s/skiff/cmd/skiff-cni")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build skiff-cni: %v\n%s", err, out)
	}
	return bin
}

// instance are options for a containerd of this test alone; whatever is left of it is removed.
func instance(t testing.TB) Options {
	t.Helper()
	bin, dir := programs(t), t.TempDir()
	state, err := os.MkdirTemp("/run", "skiff-test-")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		BinDir: bin, Root: filepath.Join(dir, "root"), State: state, LogFile: filepath.Join(dir, "containerd.log"),
		CNISocket: filepath.Join(dir, "cni.sock"), CNIConfDir: filepath.Join(dir, "cni"), RegistryDir: filepath.Join(dir, "certs.d"),
		CgroupParent: "/" + filepath.Base(state), NoSync: true,
	}
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(o.LogFile)
			t.Logf("containerd said:\n%s", b)
		}
		if err := o.Cleanup(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return o
}

func start(t testing.TB, o Options) (*Daemon, *runtime.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := runtime.Dial(ctx, d.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return d, c
}

// agent answers CNI calls as the network agent does, but makes no interface.
// The calls that it got are in the channel.
func agent(t testing.TB, o Options) <-chan cniwire.Request {
	t.Helper()
	l, err := net.Listen("unix", o.CNISocket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	calls := make(chan cniwire.Request, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			cniwire.Answer(c, func(r cniwire.Request) cniwire.Reply {
				calls <- r
				if r.Command != "ADD" {
					return cniwire.Reply{}
				}
				return cniwire.Reply{Result: fmt.Appendf(nil, `{"cniVersion":"1.0.0","interfaces":[{"name":%q,"sandbox":%q}],"ips":[{"address":"10.9.8.7/24","gateway":"10.9.8.1","interface":0}]}`, r.IfName, r.Netns)}
			})
			c.Close()
		}
	}()
	return calls
}

// loadImage imports images built by test/images.
func loadImage(t testing.TB, o Options, name string) []string {
	t.Helper()
	out := t.TempDir()
	if msg, err := exec.Command("go", "run", "github.com/skiff-k8s/skiff/test/images", "-out", out, name).CombinedOutput(); err != nil {
		t.Fatalf("build the image %s: %v\n%s", name, err, msg)
	}
	f, err := os.Open(filepath.Join(out, name+".tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, err := Import(t.Context(), o.Socket(), f)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// pod is a sandbox with one container.
type pod struct {
	sandbox, container, log string
}

func run(t testing.TB, o Options, c *runtime.Client, name, image string, command ...string) pod {
	t.Helper()
	logs := t.TempDir()
	namespaces := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}
	config := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: name, Namespace: "default", Uid: "uid-" + name}, Hostname: name, LogDirectory: logs,
		PortMappings: []*runtimeapi.PortMapping{{ContainerPort: 80, HostPort: 8080}},
		Linux:        &runtimeapi.LinuxPodSandboxConfig{CgroupParent: o.CgroupParent + "/" + name, SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: namespaces}},
	}
	s, err := c.Runtime.RunPodSandbox(t.Context(), &runtimeapi.RunPodSandboxRequest{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	ct, err := c.Runtime.CreateContainer(t.Context(), &runtimeapi.CreateContainerRequest{PodSandboxId: s.PodSandboxId, SandboxConfig: config, Config: &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: name}, Image: &runtimeapi.ImageSpec{Image: image}, Command: command, LogPath: "0.log",
		Linux: &runtimeapi.LinuxContainerConfig{
			Resources:       &runtimeapi.LinuxContainerResources{OomScoreAdj: -997, MemoryLimitInBytes: 64 << 20},
			SecurityContext: &runtimeapi.LinuxContainerSecurityContext{NamespaceOptions: namespaces, Seccomp: &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Runtime.StartContainer(t.Context(), &runtimeapi.StartContainerRequest{ContainerId: ct.ContainerId}); err != nil {
		t.Fatal(err)
	}
	return pod{s.PodSandboxId, ct.ContainerId, filepath.Join(logs, "0.log")}
}

func execIn(t testing.TB, c *runtime.Client, p pod, command ...string) string {
	t.Helper()
	r, err := c.Runtime.ExecSync(t.Context(), &runtimeapi.ExecSyncRequest{ContainerId: p.container, Cmd: command, Timeout: 10})
	if err != nil {
		t.Fatal(err)
	}
	if r.ExitCode != 0 {
		t.Fatalf("%q ended with %d: %s%s", command, r.ExitCode, r.Stdout, r.Stderr)
	}
	return string(r.Stdout) + string(r.Stderr)
}

func isRunning(t testing.TB, c *runtime.Client, p pod) {
	t.Helper()
	s, err := c.Runtime.ContainerStatus(t.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: p.container})
	if err != nil {
		t.Fatal(err)
	}
	if s.Status.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
		t.Fatalf("the container is %v, want it to run on", s.Status.State)
	}
}

func TestStart(t *testing.T) {
	o := instance(t)
	began := time.Now()
	d, c := start(t, o)
	t.Logf("ready after %v", time.Since(began))
	images, err := c.Images.ListImages(t.Context(), &runtimeapi.ListImagesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(images.Images) != 1 || !images.Images[0].Pinned || !slices.Contains(images.Images[0].RepoTags, PauseImage) {
		t.Errorf("images at the start: %v, want the sandbox image, pinned", images.Images)
	}
	status, err := c.Runtime.Status(t.Context(), &runtimeapi.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cond := range status.Status.Conditions {
		if (cond.Type == runtimeapi.RuntimeReady || cond.Type == runtimeapi.NetworkReady) && !cond.Status {
			t.Errorf("%s is not true: %s: %s", cond.Type, cond.Reason, cond.Message)
		}
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err := o.find(); p != nil || err != nil {
		t.Errorf("after Stop: process %v, error %v", p, err)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Errorf("Stop of what is stopped: %v", err)
	}
}

// TestLife follows a pod through all that may happen to what runs it.
func TestLife(t *testing.T) {
	o := instance(t)
	calls := agent(t, o)
	d, c := start(t, o)
	if names := loadImage(t, o, "busybox"); !slices.Contains(names, "docker.io/library/busybox:latest") {
		t.Fatalf("imported %v", names)
	}
	p := run(t, o, c, "life", "busybox", "sh", "-c", "echo began; sleep 100000")

	add := <-calls
	if add.Command != "ADD" || add.ContainerID != p.sandbox || add.IfName != "eth0" || !strings.HasPrefix(add.Netns, o.State) ||
		!strings.Contains(add.Args, "K8S_POD_NAME=life") || !strings.Contains(string(add.Config), `"HostPort":8080`) {
		t.Errorf("the agent was asked %s of %s, %s in %s, %s, with %s", add.Command, add.ContainerID, add.IfName, add.Netns, add.Args, add.Config)
	}
	s, err := c.Runtime.PodSandboxStatus(t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.sandbox})
	if err != nil {
		t.Fatal(err)
	}
	if s.Status.Network.GetIp() != "10.9.8.7" {
		t.Errorf("pod IP %q, want what the agent said", s.Status.Network.GetIp())
	}
	if got := execIn(t, c, p, "hostname"); got != "life\n" {
		t.Errorf("hostname in the container: %q", got)
	}
	if b, err := os.ReadFile(p.log); err != nil || !strings.HasSuffix(string(b), " stdout F began\n") {
		t.Errorf("log %q, error %v", b, err)
	}

	// A Skiff that ended without a word, and one that comes back.
	again, c := start(t, o)
	if again.Pid() != d.Pid() {
		t.Errorf("containerd %d was not adopted, %d runs", d.Pid(), again.Pid())
	}
	isRunning(t, c, p)

	// containerd killed while somebody watches.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- again.Supervise(ctx) }()
	was := again.proc
	killIf(was.pid, o.owns)
	<-was.done
	short, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	c, err = runtime.Dial(short, o.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	isRunning(t, c, p)
	execIn(t, c, p, "true")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Supervise: %v", err)
	}
	if again.Pid() == was.pid {
		t.Error("Pid is that of the containerd that was killed")
	}

	// Another configuration: containerd is another one, the container is the same.
	before := again.Pid()
	changed := o
	changed.NoSync = false
	d, c = start(t, changed)
	if d.Pid() == before {
		t.Error("containerd goes on with the old configuration")
	}
	isRunning(t, c, p)

	// A pid file that was lost.
	if err := os.Remove(o.pidFile()); err != nil {
		t.Fatal(err)
	}
	if err := o.Cleanup(t.Context()); err != nil {
		t.Fatal(err)
	}
	leftovers(t, o)
	if err := o.Cleanup(t.Context()); err != nil {
		t.Errorf("Cleanup of nothing: %v", err)
	}
}

// leftovers fails when anything of the instance is on the host.
func leftovers(t *testing.T, o Options) {
	t.Helper()
	pids, err := processes(func(pid int) bool {
		args := cmdline(pid) // empty when only its parent has not yet taken note of its end
		return len(args) > 0 && (strings.Contains(fmt.Sprintf("%s", args), o.State) || inCgroup(pid, o.CgroupParent))
	})
	if err != nil || len(pids) != 0 {
		t.Errorf("processes are left: %v, error %v", pids, err)
	}
	points, err := mountPoints(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if below(p, o.State) || below(p, o.Root) {
			t.Errorf("%s is still mounted", p)
		}
	}
	if dirs, _ := filepath.Glob("/sys/fs/cgroup/*" + o.CgroupParent); len(dirs) != 0 {
		t.Errorf("cgroups are left: %v", dirs)
	}
	for _, path := range []string{o.State, o.Root, o.conflistFile(), o.LogFile} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

func TestAgentAway(t *testing.T) {
	o := instance(t)
	_, c := start(t, o)
	_, err := c.Runtime.RunPodSandbox(t.Context(), &runtimeapi.RunPodSandboxRequest{Config: &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "a", Namespace: "default", Uid: "a"}, LogDirectory: t.TempDir(),
		Linux: &runtimeapi.LinuxPodSandboxConfig{CgroupParent: o.CgroupParent + "/a"},
	}})
	if err == nil || !strings.Contains(err.Error(), "Skiff's network agent does not answer") {
		t.Errorf("a sandbox without the network agent: %v", err)
	}
}

func TestImages(t *testing.T) {
	o := instance(t)
	agent(t, o)
	_, c := start(t, o)
	loadImage(t, o, "nginx")
	loadImage(t, o, "hello")
	for _, v := range []struct{ image, server string }{{"nginx:1.7.9", "nginx/1.7.9"}, {"nginx:1.14", "nginx/1.14.2"}, {"nginx:latest", "nginx/1.27.5"}} {
		p := run(t, o, c, strings.NewReplacer(":", "-", ".", "-").Replace(v.image), v.image)
		fetch := "for i in $(seq 100); do wget -q -S -O- http://127.0.0.1/ && exit; usleep 20000; done"
		if got := execIn(t, c, p, "/bin/bash", "-c", fetch); !strings.Contains(got, "Server: "+v.server+"\n") || !strings.Contains(got, "Welcome to nginx!") {
			t.Errorf("%s answers %s", v.image, got)
		}
		if got := execIn(t, c, p, "nginx", "-v"); strings.TrimSpace(got) != "nginx version: "+v.server {
			t.Errorf("%s is %q", v.image, got)
		}
		if b, err := os.ReadFile(p.log); err != nil || !strings.Contains(string(b), `"GET / HTTP/1.1" 200`) {
			t.Errorf("log of %s: %s, error %v", v.image, b, err)
		}
	}
	for _, version := range []string{"v1", "v2"} {
		p := run(t, o, c, "hello-"+version, "hello:"+version)
		get := "for i in $(seq 100); do client get http://127.0.0.1:8080/ 2>/dev/null && exit; usleep 20000; done"
		if got := execIn(t, c, p, "sh", "-c", get); got != "Hello, world!\nVersion: "+version+"\nHostname: hello-"+version+"\n" {
			t.Errorf("hello:%s answers %q", version, got)
		}
	}
	loadImage(t, o, "tutorial")
	p := run(t, o, c, "tutorial", "leigg/hellok8s:v3")
	get := "for i in $(seq 100); do wget -T 5 -qO- http://localhost:3000/ && exit; usleep 20000; done"
	if got := execIn(t, c, p, "sh", "-c", get); got != "[v3] Hello, Kubernetes!, From host: tutorial\n" {
		t.Errorf("hellok8s:v3 answers %q", got)
	}
	loadImage(t, o, "busybox")
	for tag, want := range map[string]string{"latest": "BusyBox v1.35", "1.28": "BusyBox v1.28.4"} {
		p := run(t, o, c, "busybox-"+strings.ReplaceAll(tag, ".", "-"), "busybox:"+tag, "sleep", "1000")
		if got := execIn(t, c, p, "sh", "-c", "nslookup 2>&1 || true"); !strings.Contains(got, want) {
			t.Errorf("nslookup of busybox:%s is %s", tag, got)
		}
		if got := execIn(t, c, p, "sh", "-c", "ls / | wc -l; wget 2>&1 || true; printenv PATH"); !strings.Contains(got, "wget: no URL given") {
			t.Errorf("wget of busybox:%s is %s", tag, got)
		}
	}
	images, err := c.Images.ListImages(t.Context(), &runtimeapi.ListImagesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range images.Images {
		if len(img.RepoTags) != 1 || len(img.RepoDigests) != 1 {
			t.Errorf("image %s has tags %v and digests %v", img.Id, img.RepoTags, img.RepoDigests)
		}
	}
}

func TestImport(t *testing.T) {
	o := instance(t)
	if _, err := Import(t.Context(), o.Socket(), strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "is skiff running?") {
		t.Errorf("with no runtime: %v", err)
	}
	_, c := start(t, o)
	if _, err := Import(t.Context(), o.Socket(), strings.NewReader("no image")); err == nil || !strings.HasPrefix(err.Error(), "import: ") {
		t.Errorf("of a text: %v", err)
	}
	for name, want := range map[string]string{"example.com/app:v1": "example.com/app:v1", "app:v2": "docker.io/library/app:v2"} {
		names, err := Import(t.Context(), o.Socket(), ociLayout(t, name))
		if err != nil || !slices.Equal(names, []string{want}) {
			t.Errorf("%s was imported as %v, error %v", name, names, err)
			continue
		}
		s, err := c.Images.ImageStatus(t.Context(), &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: name}})
		if err != nil || s.Image == nil || s.Image.Pinned {
			t.Errorf("CRI knows %s as %v, error %v", name, s.GetImage(), err)
		}
	}
	if _, err := Import(t.Context(), o.Socket(), ociLayout(t, "latest")); err == nil || !strings.Contains(err.Error(), "no image that has a name") {
		t.Errorf("of an image without a name: %v", err)
	}
}

// ociLayout is an OCI image layout as a compressed tar file, of an image with that name.
func ociLayout(t *testing.T, name string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	if err := tarFile(&b, "file", []byte(name), 0o644); err != nil {
		t.Fatal(err)
	}
	layer := static.NewLayer(b.Bytes(), types.OCIUncompressedLayer)
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name})); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestStartFails(t *testing.T) {
	o := instance(t)
	o.BinDir = t.TempDir()
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("without programs: %v", err)
	}
	// A program that ends at once: its last words are in the error.
	script := "#!/bin/sh\necho level=warning never mind\necho cannot do it >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(o.BinDir, "containerd"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "cannot do it") {
		t.Errorf("with a program that fails: %v", err)
	}
	o.State = "/run/" + strings.Repeat("x", 60)
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("with a long path: %v", err)
	}
}
