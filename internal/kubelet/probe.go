package kubelet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// probeResult is what the probes of one run of a container have found.
type probeResult struct {
	id      string
	started bool
	ready   bool
	kill    string
}

// probeStates are the results by container; w.mu is taken.
func (w *worker) probeStates() map[string]probeState {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]probeState{}
	for name, r := range w.probes {
		out[name] = probeState{started: r.started, kill: r.kill, id: r.id}
	}
	return out
}

func (w *worker) isReady(c *corev1.Container, run *container) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.probes[c.Name]
	if r == nil || r.id != run.id {
		return c.ReadinessProbe == nil && c.StartupProbe == nil
	}
	return r.started && r.ready
}

// syncProbes begins the probes of containers that run and ends those of containers that do not.
func (w *worker) syncProbes(ctx context.Context, pod *corev1.Pod) {
	running := map[string]bool{}
	begin := func(c *corev1.Container) {
		run := w.seen.latest(c.Name)
		if run == nil || !run.running() {
			return
		}
		running[run.id] = true
		if w.probers[run.id] != nil {
			return
		}
		w.mu.Lock()
		w.probes[c.Name] = &probeResult{id: run.id, started: c.StartupProbe == nil, ready: c.ReadinessProbe == nil}
		w.mu.Unlock()
		pctx, cancel := context.WithCancel(ctx)
		w.probers[run.id] = cancel
		ip := w.podIP()
		for kind, probe := range map[string]*corev1.Probe{"Startup": c.StartupProbe, "Readiness": c.ReadinessProbe, "Liveness": c.LivenessProbe} {
			if probe != nil {
				p := &prober{w: w, pod: pod, c: c, id: run.id, kind: kind, probe: probe, ip: ip, began: run.started}
				w.k.wg.Go(func() { p.run(pctx) })
			}
		}
	}
	for i := range pod.Spec.Containers {
		begin(&pod.Spec.Containers[i])
	}
	for i := range pod.Spec.InitContainers {
		if sidecar(&pod.Spec.InitContainers[i]) {
			begin(&pod.Spec.InitContainers[i])
		}
	}
	for id, cancel := range w.probers {
		if !running[id] {
			cancel()
			delete(w.probers, id)
		}
	}
}

func (w *worker) stopProbes() {
	for id, cancel := range w.probers {
		cancel()
		delete(w.probers, id)
	}
}

// prober runs one probe of one run of a container.
type prober struct {
	w     *worker
	pod   *corev1.Pod
	c     *corev1.Container
	id    string
	kind  string
	probe *corev1.Probe
	ip    string
	began time.Time
	good  int32 // consecutive results
	bad   int32
}

func (p *prober) run(ctx context.Context) {
	wait := time.Until(p.began.Add(time.Duration(p.probe.InitialDelaySeconds) * time.Second))
	period := time.Duration(max(p.probe.PeriodSeconds, 1)) * time.Second
	if wait <= 0 && time.Since(p.began) > period {
		// After a restart of the kubelet not all probes come at once.
		wait = rand.N(period)
	}
	for {
		if wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
		wait = period
		if p.kind != "Startup" && !p.isStarted() {
			// Until the container started, only the startup probe looks; then the others begin soon.
			wait = min(period, 200*time.Millisecond)
			continue
		}
		err := p.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if p.record(err) {
			return
		}
	}
}

func (p *prober) isStarted() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	r := p.w.probes[p.c.Name]
	return r != nil && r.id == p.id && r.started
}

// record counts a result, and says whether the probe is over.
func (p *prober) record(err error) (over bool) {
	if err != nil {
		p.w.k.event(p.pod, p.c.Name, corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %v", p.kind, err)
		p.good, p.bad = 0, p.bad+1
		if p.bad < p.probe.FailureThreshold {
			return false
		}
	} else {
		p.good, p.bad = p.good+1, 0
		if p.good < p.probe.SuccessThreshold {
			return false
		}
	}
	p.w.mu.Lock()
	r := p.w.probes[p.c.Name]
	if r == nil || r.id != p.id {
		p.w.mu.Unlock()
		return true
	}
	before := *r
	switch {
	case p.kind == "Readiness":
		r.ready = err == nil
	case err == nil && p.kind == "Startup":
		r.started, over = true, true
	case err != nil && r.kill == "":
		r.kill = fmt.Sprintf("Container %s failed %s probe, will be restarted", p.c.Name, map[string]string{"Startup": "startup", "Liveness": "liveness"}[p.kind])
		over = true
	}
	changed := before != *r
	p.w.mu.Unlock()
	if changed {
		p.w.wake()
	}
	return over
}

// once probes once, within the probe's time.
func (p *prober) once(ctx context.Context) error {
	timeout := time.Duration(max(p.probe.TimeoutSeconds, 1)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch h := p.probe.ProbeHandler; {
	case h.Exec != nil:
		return p.exec(ctx, h.Exec.Command, timeout)
	case h.HTTPGet != nil:
		return httpProbe(ctx, h.HTTPGet, p.c, p.ip, true)
	case h.TCPSocket != nil:
		return p.tcp(ctx, h.TCPSocket)
	case h.GRPC != nil:
		return p.grpc(ctx, h.GRPC)
	}
	return nil
}

func (p *prober) exec(ctx context.Context, command []string, timeout time.Duration) error {
	resp, err := p.w.k.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: p.id, Cmd: command, Timeout: int64(timeout / time.Second)})
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("command timed out: %q timed out after %v", command, timeout)
		}
		return err
	}
	if resp.ExitCode != 0 {
		out := append(resp.Stdout, resp.Stderr...)
		return errors.New(string(out[:min(len(out), 10<<10)]))
	}
	return nil
}

func (p *prober) tcp(ctx context.Context, h *corev1.TCPSocketAction) error {
	port, err := portNumber(h.Port, p.c)
	if err != nil {
		return err
	}
	host := h.Host
	if host == "" {
		host = p.ip
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return c.Close()
}

func (p *prober) grpc(ctx context.Context, h *corev1.GRPCAction) error {
	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(p.ip, strconv.Itoa(int(h.Port))), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	service := ""
	if h.Service != nil {
		service = *h.Service
	}
	resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		return err
	}
	if resp.Status != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("service unhealthy (responded with %q)", resp.Status)
	}
	return nil
}

func portNumber(p intstr.IntOrString, c *corev1.Container) (int, error) {
	if p.Type == intstr.Int {
		return p.IntValue(), nil
	}
	for _, cp := range c.Ports {
		if cp.Name == p.StrVal {
			return int(cp.ContainerPort), nil
		}
	}
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return n, nil
	}
	return 0, fmt.Errorf("couldn't find port: %q", p.StrVal)
}

// probeTransport verifies nothing and keeps no connections: a probe is about this moment.
var probeTransport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, DisableCompression: true, Proxy: nil}

// httpProbe asks an HTTP endpoint of a container. Only redirects to the same host are followed.
func httpProbe(ctx context.Context, h *corev1.HTTPGetAction, c *corev1.Container, ip string, checkStatus bool) error {
	port, err := portNumber(h.Port, c)
	if err != nil {
		return err
	}
	host := h.Host
	if host == "" {
		host = ip
	}
	scheme := "http"
	if h.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	u, err := url.Parse(h.Path)
	if err != nil {
		u = &url.URL{Path: h.Path}
	}
	u.Scheme, u.Host = scheme, net.JoinHostPort(host, strconv.Itoa(port))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "kube-probe/1.37")
	req.Header.Set("Accept", "*/*")
	for _, kv := range h.HTTPHeaders {
		if http.CanonicalHeaderKey(kv.Name) == "Host" {
			req.Host = kv.Value
			continue
		}
		req.Header.Set(kv.Name, kv.Value)
	}
	client := &http.Client{Transport: probeTransport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Hostname() != req.URL.Hostname() || len(via) >= 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 10<<10))
	if checkStatus && (resp.StatusCode < 200 || resp.StatusCode >= 400) {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", resp.StatusCode)
	}
	return nil
}
