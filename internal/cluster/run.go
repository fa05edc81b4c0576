package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/skiff-k8s/skiff/internal/apiserver"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
	controllers "github.com/skiff-k8s/skiff/internal/controller/all"
	"github.com/skiff-k8s/skiff/internal/scheduler"
	"github.com/skiff-k8s/skiff/internal/store/disk"
	"github.com/skiff-k8s/skiff/internal/telemetry"
)

// Progress is told of each step of the start, and how long it took.
type Progress func(step string, took time.Duration)

// instance is a running Skiff.
type instance struct {
	cfg    *Config
	log    *slog.Logger
	pki    *pki
	parts  supervisor
	api    *apiserver.Server
	system client.Client
	events client.Recorder
	nodes  nodeHandlers
	step   func(name string)
}

// Run starts an instance and returns when the context ends, or when the start fails.
//
// The order: what can fail for reasons that people must mend (configuration,
// lock, port) comes first; the container runtime starts beside the control plane,
// because it takes longest; the API server answers before controllers, scheduler
// and node begin, which all need it.
func Run(ctx context.Context, cfg *Config, out io.Writer, progress Progress) error {
	if err := cfg.Complete(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o755); err != nil {
		return err
	}
	unlock, err := cfg.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := cfg.Save(); err != nil {
		return err
	}
	i := &instance{cfg: cfg, log: telemetry.NewLog(out, cfg.Verbosity), step: stepper(progress)}
	i.parts.log = i.log
	i.nodes.local = map[string]http.Handler{}
	l, err := cfg.listen()
	if err != nil {
		return err
	}
	defer l.Close()

	if os.Getenv("GOGC") == "" {
		// Nearly all of the heap is the cluster's state, which stays: less room for garbage costs little time.
		debug.SetGCPercent(gcPercent)
	}
	calmMonitor()
	ctx, cancel := context.WithCancel(ctx)
	// The store closes last, when nothing writes any more.
	var closeStore func() error
	defer func() {
		cancel()
		i.parts.wg.Wait()
		if closeStore != nil {
			if err := closeStore(); err != nil {
				i.log.Error("close store", "err", err)
			}
		}
	}()
	var node *node
	if !cfg.ControlPlaneOnly {
		node = i.prepareNode(ctx)
	}
	if closeStore, err = i.startControlPlane(ctx, l); err != nil {
		return err
	}
	if node != nil {
		if err := node.start(ctx); err != nil {
			return err
		}
	}
	i.log.Info("started")
	if progress != nil {
		progress("", 0)
	}
	<-ctx.Done()
	return nil
}

// gcPercent saves a sixth of the memory of a server with 10,000 pods, for some hundredths of its CPU time under load.
const gcPercent = 70

// stepper measures the time between steps.
func stepper(progress Progress) func(string) {
	last := time.Now()
	var mu sync.Mutex
	return func(name string) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if progress != nil {
			progress(name, now.Sub(last))
		}
		last = now
	}
}

// lock keeps a second instance out of the directory. The kernel lets go of it when the process ends, however it ends.
func (c *Config) lock() (func(), error) {
	f, err := os.OpenFile(c.lockFile(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("an instance is running already in %s (pid %d): stop it with `skiff down`", c.DataDir, c.Pid())
		}
		return nil, err
	}
	f.Truncate(0)
	fmt.Fprintf(f, "%d\n", os.Getpid())
	return func() { f.Truncate(0); f.Close() }, nil
}

func (i *instance) startControlPlane(ctx context.Context, l net.Listener) (func() error, error) {
	cfg := i.cfg
	var err error
	if i.pki, err = openPKI(cfg); err != nil {
		return nil, fmt.Errorf("keys and certificates: %w", err)
	}
	if err := cfg.writeKubeconfig(i.pki); err != nil {
		return nil, err
	}
	st, err := disk.Open(cfg.path("store"), disk.Options{HistoryBytes: cfg.HistoryBytes, Log: i.log.With("part", "store")})
	if err != nil {
		return nil, err
	}
	i.step("store open")
	tokens, err := auth.NewIssuer("https://kubernetes.default.svc."+cfg.ClusterDomain, i.pki.tokens, time.Now)
	if err != nil {
		return st.Close, err
	}
	_, cidr, err := net.ParseCIDR(cfg.ServiceCIDR)
	if err != nil {
		return st.Close, err
	}
	i.api, err = apiserver.New(ctx, apiserver.Options{
		Store: st, Log: i.log.With("part", "apiserver"), ServiceCIDR: cidr, Tokens: tokens, Node: i.nodes.handler, Version: VersionInfo(), NoOldVersions: cfg.NoOldAPIVersions,
		ProxyCert: func() (*tls.Certificate, error) { return &i.pki.proxy, nil },
	})
	if err != nil {
		return st.Close, err
	}
	// Writes that are under way at the end return to their clients: what carries them
	// ends after the server, and before the store closes.
	feedCtx, endFeed := context.WithCancel(context.WithoutCancel(ctx))
	feed := make(chan error, 1)
	go func() { feed <- i.api.Run(feedCtx) }()
	closeAll := func() error { endFeed(); <-feed; return st.Close() }
	i.system = i.api.Client(auth.System)
	i.events = client.NewRecorder(ctx, i.system, time.Now, i.log.With("part", "events"))
	if err := bootstrap(ctx, i.system, cfg, i.pki); err != nil {
		return closeAll, fmt.Errorf("first objects: %w", err)
	}
	i.api.Done("poststarthook/start-system-namespaces-controller", "poststarthook/scheduling/bootstrap-system-priority-classes", "poststarthook/bootstrap-controller",
		"poststarthook/start-kubernetes-service-cidr-controller", "poststarthook/priority-and-fairness-config-producer", "poststarthook/priority-and-fairness-filter")
	i.parts.run(ctx, "https", func(ctx context.Context) error { return serve(ctx, l, i.pki, i.api, i.log) })
	i.parts.run(ctx, "flow control", i.api.RunFlowControl)
	i.parts.run(ctx, "definitions", i.api.RunDefinitions)
	i.parts.run(ctx, "aggregation", i.api.RunAggregation)
	i.step("API server ready")

	engine := &controller.Engine{Client: i.api.Client(auth.Component("kube-controller-manager")), Events: i.events, Log: i.log.With("part", "controllers"), Now: time.Now}
	for _, c := range controllers.Controllers(controllers.Config{
		RootCA: i.pki.caPEM, ClusterCIDR: []netip.Prefix{netip.MustParsePrefix(cfg.PodNetworkCIDR)}, Rows: i.api.Rows, RowsChanged: i.api.RowsChanged(),
	}) {
		i.parts.run(ctx, c.Name, func(ctx context.Context) error { return c.Run(ctx, engine) })
	}
	seed := rand.Uint64()
	i.parts.run(ctx, "scheduler", func(ctx context.Context) error {
		return scheduler.New(scheduler.Options{Client: i.api.Client(auth.Component("kube-scheduler")), Events: i.events, Log: i.log.With("part", "scheduler"), Now: time.Now, Seed: seed}).Run(ctx)
	})
	i.parts.run(ctx, "compaction", func(ctx context.Context) error {
		return (&compactor{st: st, keep: cfg.History, now: time.Now}).run(ctx)
	})
	i.step("controllers and scheduler started")
	return closeAll, nil
}

// nodeHandlers finds the kubelet API of a node.
type nodeHandlers struct {
	mu    sync.RWMutex
	local map[string]http.Handler
}

func (n *nodeHandlers) set(name string, h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.local[name] = h
}

func (n *nodeHandlers) handler(_ context.Context, name string) (http.Handler, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if h := n.local[name]; h != nil {
		return h, nil
	}
	return nil, errors.New("no kubelet of that node is connected")
}
