// Command bench measures a Skiff node on this machine and prints a table: start,
// memory and CPU at rest, the API, pods. It is a report, not a test: times hold
// for one machine at one time, so compare rows of one run.
//
//	go run ./test/bench [-seconds 20] [-clients 64] [-writes 20000]
//
// It starts a node of its own in a temporary directory and removes it again.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	seconds = flag.Int("seconds", 20, "how long to watch the node at rest")
	clients = flag.Int("clients", 64, "concurrent clients")
	writes  = flag.Int("writes", 20000, "objects to create")
	pods    = flag.Int("pods", 10000, "pods that are only kept, listed and watched")
	port    = flag.String("port", "16443", "port of the API server")
)

func main() {
	flag.Parse()
	dir, err := os.MkdirTemp("", "skiff-bench")
	check(err)
	b := &bench{dir: filepath.Join(dir, "data"), w: tabwriter.NewWriter(os.Stdout, 0, 8, 3, ' ', 0)}
	defer os.RemoveAll(dir)
	defer b.skiff("reset", "-f")
	b.run(context.Background())
	b.w.Flush()
}

type bench struct {
	dir string
	w   *tabwriter.Writer
	pid int
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) row(what, format string, a ...any) {
	fmt.Fprintf(b.w, "%s\t%s\n", what, fmt.Sprintf(format, a...))
}

// skiff runs a verb on the bench's own instance.
func (b *bench) skiff(args ...string) string {
	cmd := exec.Command("bin/skiff", append(args, "--data-dir", b.dir)...)
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(b.dir))
	out, err := cmd.CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "skiff %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (b *bench) run(ctx context.Context) {
	began := time.Now()
	up := b.skiff("up", "--secure-port", *port)
	took := time.Since(began)
	for _, line := range strings.Split(up, "\n") {
		if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[0], "s") && strings.Contains(f[0], ".") {
			b.row("start: "+strings.Join(f[1:], " "), "%s", f[0])
		}
	}
	b.row("empty directory to node Ready, as a user waits", "%.2f s", took.Seconds())
	lock, err := os.ReadFile(filepath.Join(b.dir, "lock"))
	check(err)
	b.pid, err = strconv.Atoi(strings.TrimSpace(string(lock)))
	check(err)
	b.skiff("image", "import", "test/images/out/busybox.tar")
	c := b.clients(*clients)
	b.firstPod(ctx, c[0])
	b.rest()
	b.api(ctx, c)
	b.many(ctx, c)
	b.pods(ctx, c[0])
}

func (b *bench) clients(n int) []*kubernetes.Clientset {
	out := make([]*kubernetes.Clientset, n)
	for i := range out {
		cfg, err := clientcmd.BuildConfigFromFlags("", filepath.Join(b.dir, "admin.kubeconfig"))
		check(err)
		cfg.QPS = -1
		cfg.ContentType, cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
		// A dialer of its own gives each client a connection of its own.
		cfg.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
		out[i], err = kubernetes.NewForConfig(rest.CopyConfig(cfg))
		check(err)
	}
	return out
}

// rest watches the node while nothing happens.
func (b *bench) rest() {
	time.Sleep(2 * time.Second)
	before := cpu(b.pid)
	time.Sleep(time.Duration(*seconds) * time.Second)
	b.row("at rest: skiff's CPU, % of a core", "%.2f", 100*(cpu(b.pid)-before).Seconds()/float64(*seconds))
	b.row("at rest: skiff's RSS", "%d MiB", rss(b.pid)>>20)
	if pid := containerdPid(b.dir); pid > 0 {
		b.row("at rest: containerd's RSS", "%d MiB", rss(pid)>>20)
	}
}

func containerdPid(dir string) int {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if text, _ := os.ReadFile(p); strings.Contains(string(text), filepath.Join(dir, "containerd", "config.toml")) {
			pid, _ := strconv.Atoi(strings.Split(p, "/")[2])
			return pid
		}
	}
	return 0
}

func cpu(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(err)
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

func rss(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// drive runs n calls on c clients and reports rate, latency and the server's CPU per call.
func (b *bench) drive(what string, c []*kubernetes.Clientset, n int, call func(*kubernetes.Clientset, int) error) {
	took := make([]time.Duration, n)
	before, began := cpu(b.pid), time.Now()
	var wg sync.WaitGroup
	for w := range c {
		wg.Go(func() {
			for i := w; i < n; i += len(c) {
				at := time.Now()
				check(call(c[w], i))
				took[i] = time.Since(at)
			}
		})
	}
	wg.Wait()
	wall := time.Since(began)
	slices.Sort(took)
	b.row(fmt.Sprintf("%s, %d clients", what, len(c)), "%.0f/s, p50 %.2f ms, p99 %.2f ms, %.3f server CPU ms each", float64(n)/wall.Seconds(),
		took[n/2].Seconds()*1e3, took[n*99/100].Seconds()*1e3, (cpu(b.pid)-before).Seconds()*1e3/float64(n))
}

func (b *bench) api(ctx context.Context, c []*kubernetes.Clientset) {
	data := strings.Repeat("x", 1024)
	create := func(prefix string) func(*kubernetes.Clientset, int) error {
		return func(c *kubernetes.Clientset, i int) error {
			_, err := c.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: prefix + strconv.Itoa(i)}, Data: map[string]string{"d": data}}, metav1.CreateOptions{})
			return err
		}
	}
	b.drive("create 1 KB ConfigMap, durable", c[:1], min(*writes, 2000), create("one-"))
	b.drive("create 1 KB ConfigMap, durable", c, *writes, create("many-"))
	b.drive("get ConfigMap", c, *writes, func(c *kubernetes.Clientset, i int) error {
		_, err := c.CoreV1().ConfigMaps("default").Get(ctx, "many-"+strconv.Itoa(i), metav1.GetOptions{})
		return err
	})
	began, before := time.Now(), cpu(b.pid)
	l, err := c[0].CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
	check(err)
	b.row(fmt.Sprintf("list %d ConfigMaps, protobuf", len(l.Items)), "%.0f ms, %.3f server CPU s", time.Since(began).Seconds()*1e3, (cpu(b.pid) - before).Seconds())
	b.row("skiff's RSS after that", "%d MiB", rss(b.pid)>>20)
}

func pod(name string) *corev1.Pod {
	grace := int64(0)
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"bench": "1"}}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers:                    []corev1.Container{{Name: "c", Image: "busybox:latest", ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"sleep", "3600"}}}}}
}

// startPods creates pods and returns when each was seen Running.
func startPods(ctx context.Context, c *kubernetes.Clientset, names ...string) []time.Duration {
	w, err := c.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{LabelSelector: "bench=1"})
	check(err)
	defer w.Stop()
	at := map[string]time.Time{}
	for _, n := range names {
		at[n] = time.Now()
		_, err := c.CoreV1().Pods("default").Create(ctx, pod(n), metav1.CreateOptions{})
		check(err)
	}
	var took []time.Duration
	for e := range w.ResultChan() {
		p, ok := e.Object.(*corev1.Pod)
		if !ok || p.Status.Phase != corev1.PodRunning || at[p.Name].IsZero() {
			continue
		}
		took = append(took, time.Since(at[p.Name]))
		delete(at, p.Name)
		if len(at) == 0 {
			break
		}
	}
	return took
}

func (b *bench) firstPod(ctx context.Context, c *kubernetes.Clientset) {
	b.row("first pod, created to Running", "%.0f ms", startPods(ctx, c, "first")[0].Seconds()*1e3)
	check(c.CoreV1().Pods("default").Delete(ctx, "first", metav1.DeleteOptions{}))
}

func (b *bench) pods(ctx context.Context, c *kubernetes.Clientset) {
	var took []time.Duration
	for i := range 20 {
		took = append(took, startPods(ctx, c, fmt.Sprintf("single-%d", i))...)
	}
	slices.Sort(took)
	b.row("one pod, created to Running (20, one after the other)", "p50 %.0f ms, worst %.0f ms", took[10].Seconds()*1e3, took[19].Seconds()*1e3)
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprintf("batch-%d", i)
	}
	began := time.Now()
	startPods(ctx, c, names...)
	b.row("50 pods at once, all Running", "%.2f s", time.Since(began).Seconds())
}
