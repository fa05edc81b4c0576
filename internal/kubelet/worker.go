package kubelet

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/client"
)

// worker looks after one pod. Only its own goroutine touches what is below the
// line; the rest is guarded by mu.
type worker struct {
	k               *Kubelet
	uid             types.UID
	namespace, name string
	static          bool
	news            chan struct{}

	mu      sync.Mutex
	pod     *corev1.Pod
	isGone  bool
	probes  map[string]*probeResult
	killNow chan struct{} // closed when the grace period was cut short
	refresh bool          // configuration that is mounted may have changed
	mail    []func()      // to run on the worker's goroutine

	// ---
	waits      map[string]*restartWait
	pulling    map[string]*pullState
	seen       *observed
	status     *corev1.PodStatus // as last written, which gave the object this resourceVersion:
	statusOf   string
	ended      *ending
	volumes    map[string]string // where each volume is on this host
	mounted    bool
	tokenRenew time.Time // when a mounted token must be issued anew; zero: there is none
	fails      int       // consecutive failures, for the back-off
	createErr  map[string]corev1.ContainerStateWaiting
	probers    map[string]context.CancelFunc
	began      time.Time
	restored   bool
}

// ending is why a pod that is not deleted must not run any more.
type ending struct{ reason, message string }

func newWorker(k *Kubelet, pod *corev1.Pod) *worker {
	return &worker{
		k: k, uid: pod.UID, namespace: pod.Namespace, name: pod.Name, pod: pod, news: make(chan struct{}, 1), killNow: make(chan struct{}),
		probes: map[string]*probeResult{}, waits: map[string]*restartWait{}, pulling: map[string]*pullState{},
		createErr: map[string]corev1.ContainerStateWaiting{}, probers: map[string]context.CancelFunc{}, began: time.Now(),
	}
}

func (w *worker) wake() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *worker) setPod(pod *corev1.Pod) {
	w.mu.Lock()
	old := w.pod
	w.pod = pod
	if graceOf(pod) < graceOf(old) || pod.DeletionTimestamp != nil && old.DeletionTimestamp != nil && pod.DeletionTimestamp.Before(old.DeletionTimestamp) {
		w.hurry()
	}
	w.mu.Unlock()
	// Our own status writes come back here; they are no news.
	if pod.Generation != old.Generation || pod.DeletionTimestamp != old.DeletionTimestamp || !sameMeta(pod, old) || pod.Status.Phase != old.Status.Phase {
		w.wake()
	}
}

func sameMeta(a, b *corev1.Pod) bool {
	if len(a.Labels) != len(b.Labels) || len(a.Annotations) != len(b.Annotations) {
		return false
	}
	for k, v := range a.Labels {
		if b.Labels[k] != v {
			return false
		}
	}
	for k, v := range a.Annotations {
		if b.Annotations[k] != v {
			return false
		}
	}
	return true
}

func graceOf(pod *corev1.Pod) int64 {
	if pod.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds == nil {
		return 1 << 40
	}
	return *pod.DeletionGracePeriodSeconds
}

// hurry cuts waits for grace periods short. mu is held.
func (w *worker) hurry() {
	select {
	case <-w.killNow:
	default:
		close(w.killNow)
	}
}

func (w *worker) setGone() {
	w.mu.Lock()
	w.isGone = true
	w.hurry()
	w.mu.Unlock()
	w.wake()
}

func (w *worker) setRefresh() {
	w.mu.Lock()
	w.refresh = true
	w.mu.Unlock()
	w.wake()
}

func (w *worker) state() (pod *corev1.Pod, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod, w.isGone
}

// run works until the pod is over and cleaned up, or the context ends.
func (w *worker) run(ctx context.Context) {
	defer w.stopProbes()
	log := w.k.Log.With("pod", w.namespace+"/"+w.name)
	for {
		next, done, err := w.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if done {
			w.k.remove(w)
			return
		}
		if err != nil {
			w.fails++
			wait := min(time.Duration(1)<<min(w.fails, 10)*100*time.Millisecond, 20*time.Second)
			log.Error("will try again", "err", err, "after", wait)
			next = time.Now().Add(wait)
		} else {
			w.fails = 0
		}
		if !sleep(ctx, w.news, next) {
			return
		}
	}
}

// sleep waits for news or a time (zero: none). It returns false when the context ended.
func sleep(ctx context.Context, news <-chan struct{}, until time.Time) bool {
	var timer <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-news:
	case <-timer:
	case <-ctx.Done():
		return false
	}
	return true
}

// round observes, steps and acts until there is nothing to do at once.
func (w *worker) round(ctx context.Context) (next time.Time, done bool, err error) {
	for {
		w.readMail()
		pod, gone := w.state()
		if w.seen, err = w.k.observe(ctx, w.uid); err != nil {
			return next, false, err
		}
		if !w.restored {
			w.restore(pod)
		}
		w.deadline(pod)
		in := input{pod: pod, now: time.Now(), seen: w.seen, gone: gone, ended: w.ended != nil, waits: w.waits, probes: w.probeStates(), hashes: hashes(pod), pulling: w.pulling}
		p := step(in)
		for name, wait := range w.createErr {
			if _, ok := p.waiting[name]; !ok {
				p.waiting[name] = wait
			}
		}
		if !gone {
			if err := w.report(ctx, pod, &p); err != nil {
				return next, false, err
			}
		}
		w.syncProbes(ctx, pod)
		if p.done {
			return w.finish(ctx, pod, gone)
		}
		if len(p.do) == 0 {
			err := w.refreshVolumes(ctx, pod)
			return earliest(p.next, w.tokenRefresh()), false, err
		}
		again, err := w.act(ctx, pod, &p)
		if err != nil || !again {
			if rerr := w.reportAfter(ctx, gone); err == nil {
				err = rerr
			}
			return p.next, false, err
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// reportAfter shows what a failed or waiting start means for the status.
func (w *worker) reportAfter(ctx context.Context, gone bool) error {
	pod, _ := w.state()
	if gone {
		return nil
	}
	p := plan{waiting: map[string]corev1.ContainerStateWaiting{}}
	for name, pull := range w.pulling {
		if pull.reason != "" {
			p.waiting[name] = corev1.ContainerStateWaiting{Reason: pull.reason, Message: pull.message}
		}
	}
	for name, wait := range w.createErr {
		p.waiting[name] = wait
	}
	return w.report(ctx, pod, &p)
}

// restore recalls, after a restart of the kubelet, how long restarts had to wait.
func (w *worker) restore(pod *corev1.Pod) {
	w.restored = true
	for name, cs := range w.seen.containers {
		c := cs[0]
		if c.exited() && c.restarts > 0 {
			wait := &restartWait{}
			for range min(c.restarts, 6) {
				wait.raise(c.finished)
			}
			w.waits[name] = wait
		}
	}
	if w.seen.ready() {
		w.volumes = w.volumePaths(pod)
		w.mounted = true
	}
}

// deadline ends a pod that ran for longer than it may.
func (w *worker) deadline(pod *corev1.Pod) {
	d := pod.Spec.ActiveDeadlineSeconds
	if d == nil || w.ended != nil || pod.Status.StartTime == nil || finished(pod) {
		return
	}
	if time.Since(pod.Status.StartTime.Time) >= time.Duration(*d)*time.Second {
		w.ended = &ending{"DeadlineExceeded", "Pod was active on the node longer than the specified deadline"}
		w.k.event(pod, "", corev1.EventTypeNormal, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
	}
}

// finish cleans up after a pod whose containers are over.
func (w *worker) finish(ctx context.Context, pod *corev1.Pod, gone bool) (time.Time, bool, error) {
	if pod.DeletionTimestamp == nil && !gone {
		// Finished, but its object stays: logs and the last state are kept with it, volumes are not needed any more.
		return time.Time{}, false, w.unmount()
	}
	if err := w.k.cleanUp(ctx, w); err != nil {
		return time.Time{}, false, err
	}
	if gone {
		return time.Time{}, true, nil
	}
	zero := int64(0)
	err := client.Delete[*corev1.Pod](ctx, w.k.Client, pod.Namespace, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return time.Time{}, false, err
	}
	return time.Time{}, true, nil
}

// inLoop runs f on the worker's goroutine, before its next round.
func (w *worker) inLoop(f func()) {
	w.mu.Lock()
	w.mail = append(w.mail, f)
	w.mu.Unlock()
	w.wake()
}

func (w *worker) readMail() {
	w.mu.Lock()
	mail := w.mail
	w.mail = nil
	w.mu.Unlock()
	for _, f := range mail {
		f()
	}
}
