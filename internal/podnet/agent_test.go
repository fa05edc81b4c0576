package podnet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

// The tests that touch the kernel's network run in a copy of this program that has
// a network of its own: what they leave is gone with it.
const inside = "SKIFF_PODNET_TEST_INSIDE"

func ownNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=30s")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// rig is an agent that runs, and the pods that a test made.
type rig struct {
	*testing.T
	o     Options
	agent *Agent
	stop  func()
}

func newRig(t *testing.T) *rig {
	dir := t.TempDir()
	r := &rig{T: t, o: Options{
		StateDir: filepath.Join(dir, "state"), Bridge: "skiff0", TableName: "skiff-pods", SocketPath: filepath.Join(dir, "cni.sock"),
		ClusterCIDR: netip.MustParsePrefix("10.44.0.0/16"), PodCIDR: netip.MustParsePrefix("10.44.3.0/24"),
	}}
	lo, err := netlink.LinkByName("lo")
	r.ok(err)
	r.ok(netlink.LinkSetUp(lo))
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(r.Context())
	r.agent = New(r.o)
	done := make(chan error, 1)
	go func() { done <- r.agent.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.Error("agent:", err)
		}
	})
	select {
	case <-r.agent.Ready():
	case err := <-done:
		r.Fatal("agent:", err)
	}
}

// pod is a network namespace.
type pod struct {
	id string
	ns netns.NsHandle
	ip netip.Addr
}

func (p *pod) path() string { return fmt.Sprintf("/proc/self/fd/%d", int(p.ns)) }

// newPod makes a namespace without changing the caller's.
func (r *rig) newPod(id string) *pod {
	r.Helper()
	p := &pod{id: id}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with us
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			p.ns, err = netns.GetFromPath(fmt.Sprintf("/proc/self/task/%d/ns/net", syscall.Gettid()))
		}
		made <- err
	}()
	r.ok(<-made)
	r.Cleanup(func() { p.ns.Close() })
	return p
}

// in runs f in the pod's network; sockets opened there stay there.
func (p *pod) in(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(p.ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func (r *rig) call(command string, p *pod, config string) cniwire.Reply {
	r.Helper()
	c, err := net.Dial("unix", r.o.SocketPath)
	r.ok(err)
	defer c.Close()
	req := cniwire.Request{Command: command, ContainerID: p.id, IfName: "eth0", Config: json.RawMessage(config)}
	if p.ns > 0 {
		req.Netns = p.path()
	}
	reply, err := cniwire.Call(c, req)
	r.ok(err)
	return *reply
}

const plain = `{"cniVersion":"1.0.0","name":"skiff","type":"skiff-cni"}`

func (r *rig) must(command string, p *pod, config string) {
	r.Helper()
	reply := r.call(command, p, config)
	if reply.Error != nil {
		r.Fatalf("%s of %s: %v", command, p.id, reply.Error)
	}
	if command != "ADD" {
		return
	}
	var result struct {
		IPs []struct {
			Interface int
			Address   netip.Prefix
			Gateway   netip.Addr
		}
		Interfaces []struct{ Name, Sandbox string }
	}
	r.ok(json.Unmarshal(reply.Result, &result))
	if len(result.IPs) != 1 || result.IPs[0].Gateway != r.agent.Gateway() || result.Interfaces[result.IPs[0].Interface].Sandbox != p.path() {
		r.Fatalf("result %s", reply.Result)
	}
	p.ip = result.IPs[0].Address.Addr()
}

// add makes a pod with an interface.
func (r *rig) add(id, config string) *pod {
	r.Helper()
	p := r.newPod(id)
	r.must("ADD", p, config)
	return p
}

// serve answers every connection with the address that it came from.
func (r *rig) serve(p *pod, port string) {
	r.Helper()
	var l net.Listener
	r.ok(p.in(func() (err error) {
		l, err = net.Listen("tcp4", ":"+port)
		return
	}))
	r.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			fmt.Fprintf(c, "%s sees %s", p.id, host)
			c.Close()
		}
	}()
}

// ask connects from a pod, or from the node (nil).
func ask(from *pod, addr string) (answer string, err error) {
	f := func() error {
		c, err := net.DialTimeout("tcp4", addr, 30*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		b, err := io.ReadAll(c)
		answer = string(b)
		return err
	}
	if from == nil {
		return answer, f()
	}
	err = from.in(f)
	return answer, err
}

func (r *rig) want(from *pod, addr, answer string) {
	r.Helper()
	if got, err := ask(from, addr); err != nil || got != answer {
		r.Errorf("%s: %q, %v; want %q", addr, got, err, answer)
	}
}

func TestPodsReachEachOther(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	r := newRig(t)
	a, b := r.add("a", plain), r.add("b", plain)
	r.serve(a, "80")
	r.want(b, a.ip.String()+":80", "a sees "+b.ip.String())
	r.want(a, a.ip.String()+":80", "a sees "+a.ip.String())
	r.want(nil, a.ip.String()+":80", "a sees "+r.agent.Gateway().String())
	r.must("CHECK", a, plain)
	r.must("STATUS", &pod{}, plain)

	// The network stays when the agent restarts, and what it gave stays given.
	r.stop()
	r.start()
	r.want(b, a.ip.String()+":80", "a sees "+b.ip.String())
	if c := r.add("c", plain); c.ip == a.ip || c.ip == b.ip {
		t.Errorf("address %v twice", c.ip)
	}
	r.must("CHECK", b, plain)

	// DEL may be repeated, also without the namespace, and for what never was.
	r.must("DEL", b, plain)
	r.must("DEL", &pod{id: "b"}, plain)
	r.must("DEL", &pod{id: "never"}, plain)
	if reply := r.call("CHECK", b, plain); reply.Error == nil {
		t.Error("CHECK of a deleted pod succeeds")
	}
	for name, reply := range map[string]cniwire.Reply{
		"container id": r.call("ADD", &pod{id: "../x", ns: a.ns}, plain),
		"no namespace": r.call("ADD", &pod{id: "x"}, plain),
		"version":      r.call("ADD", &pod{id: "x", ns: a.ns}, `{"cniVersion":"9.0.0"}`),
		"command":      r.call("NONE", &pod{id: "x"}, plain),
		"name taken":   r.call("ADD", &pod{id: "x", ns: a.ns}, plain), // the namespace has an eth0
		"GC of what":   r.call("GC", &pod{}, plain),
	} {
		if reply.Error == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, ok := r.agent.ipam.find("x"); ok {
		t.Error("a failed ADD keeps its address")
	}
}

func TestParallelAddsAndRemove(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	r := newRig(t)
	before, err := netlink.LinkList()
	r.ok(err)
	pods := make([]*pod, 30)
	for i := range pods {
		pods[i] = r.newPod(fmt.Sprint("p", i))
	}
	var wg sync.WaitGroup
	for _, p := range pods {
		wg.Go(func() { r.must("ADD", p, plain) })
	}
	wg.Wait()
	seen := map[netip.Addr]bool{}
	for _, p := range pods {
		if seen[p.ip] || !p.ip.IsValid() {
			t.Errorf("%v twice or not at all", p.ip)
		}
		seen[p.ip] = true
	}
	r.serve(pods[0], "80")
	r.want(pods[29], pods[0].ip.String()+":80", "p0 sees "+pods[29].ip.String())

	// Ten are deleted, ten collected as garbage; nothing of them stays.
	for _, p := range pods[:10] {
		wg.Go(func() { r.must("DEL", p, plain) })
	}
	wg.Wait()
	var keep []string
	for _, p := range pods[20:] {
		keep = append(keep, fmt.Sprintf(`{"containerID":%q,"ifname":"eth0"}`, p.id))
	}
	r.must("GC", &pod{}, `{"cniVersion":"1.1.0","cni.dev/valid-attachments":[`+strings.Join(keep, ",")+`]}`)
	names, err := r.agent.veths()
	r.ok(err)
	if leases := r.agent.ipam.attachments(); len(leases) != 10 || len(names) != 10 {
		t.Errorf("%d leases and %d interfaces are left; want 10 each", len(leases), len(names))
	}
	r.must("CHECK", pods[25], plain)

	r.stop()
	for range 2 {
		r.ok(Remove(r.o))
	}
	after, err := netlink.LinkList()
	r.ok(err)
	if len(after) != len(before)-1 { // the bridge was there before the pods
		t.Errorf("%d interfaces are left of %d", len(after), len(before))
	}
	if _, err := os.Stat(r.o.StateDir); err == nil {
		t.Error("the state is left")
	}
	conn, err := connect()
	r.ok(err)
	tables, err := conn.ListTables()
	r.ok(err)
	if len(tables) != 0 {
		t.Errorf("table %s is left", tables[0].Name)
	}
}
