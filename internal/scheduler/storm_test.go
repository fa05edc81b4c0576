package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// TestStorm runs a scheduler while pods and nodes come and go, bindings fail and
// watches fall behind; in the end its snapshot must be what the API says, no node may have too much
// on it, and no pod may wait that fits.
func TestStorm(t *testing.T) {
	base := firstSeed(t)
	for i := range uint64(10) {
		seed := base + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { storm(t, seed) })
		})
	}
}

func storm(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	flaky := rand.New(rand.NewPCG(seed, 3))
	var calm atomic.Bool
	c := clienttest.New(node("n0"), node("n1"))
	c.Refuse = func(w clienttest.Write, _ api.Object) error {
		if !calm.Load() && flaky.IntN(5) == 0 {
			return apierrors.NewInternalError(errors.New("flaky"))
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := New(Options{Client: c, Events: &events{}, Seed: seed})
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var names []string
	for i := range 300 {
		switch k := r.IntN(12); {
		case k == 0 && i%3 == 0:
			name := fmt.Sprintf("n%d", r.IntN(4))
			if _, err := client.Get[*corev1.Node](ctx, c, "", name); err != nil {
				c.Add(node(name))
			}
		case k == 1:
			c.Expire()
		case k == 2:
			time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		case k < 6 && len(names) > 0:
			j := r.IntN(len(names))
			grace := int64(0)
			_ = client.Delete[*corev1.Pod](ctx, c, "default", names[j], metav1.DeleteOptions{GracePeriodSeconds: &grace})
			names = append(names[:j], names[j+1:]...)
		default:
			name := fmt.Sprintf("p%d", i)
			c.Add(pod(name, ask(fmt.Sprintf("%dm", 100+100*r.IntN(15)), "64Mi"), priority(int32(r.IntN(2)))))
			names = append(names, name)
		}
		if r.IntN(2) == 0 {
			synctest.Wait()
		}
	}
	synctest.Wait()
	calm.Store(true)
	// The victims of preemption go: nobody plays the kubelet.
	for range 5 {
		time.Sleep(2 * time.Minute)
		for _, p := range podsOf(t, c) {
			if p.DeletionTimestamp != nil {
				grace := int64(0)
				_ = client.Delete[*corev1.Pod](ctx, c, "default", p.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace})
			}
		}
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	cancel()
	<-done
	checkStorm(t, s, c)
}

func podsOf(t *testing.T, c *clienttest.Client) []*corev1.Pod {
	pods, err := client.List[*corev1.Pod](context.Background(), c, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

func checkStorm(t *testing.T, s *Scheduler, c *clienttest.Client) {
	used := map[string]int64{}
	pods := podsOf(t, c)
	for _, p := range pods {
		if p.Spec.NodeName != "" {
			used[p.Spec.NodeName] += p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
		}
	}
	for _, n := range s.core.Snapshot.Nodes() {
		if n.Used.CPU != used[n.Name] || n.Used.CPU > 4000 {
			t.Errorf("%s: %d millicores in use, the API says %d", n.Name, n.Used.CPU, used[n.Name])
		}
	}
	waiting := 0
	for _, p := range pods {
		tr := s.pods[p.UID]
		if tr == nil {
			t.Errorf("%s is not followed", p.Name)
			continue
		}
		if tr.assumed {
			t.Errorf("%s is assumed for ever", p.Name)
		}
		if p.Spec.NodeName != "" {
			continue
		}
		waiting++
		if want := (report{"Unschedulable", "", p.Status.NominatedNodeName}); !told(p, want) || p.Status.NominatedNodeName != tr.pod.NominatedNode() {
			t.Errorf("%s waits, nominated for %q: status %+v", p.Name, tr.pod.NominatedNode(), p.Status)
		}
		for _, n := range s.core.Snapshot.Nodes() {
			if n.Used.CPU+tr.pod.Requests.CPU <= n.Alloc.CPU {
				t.Errorf("%s waits, and fits on %s", p.Name, n.Name)
			}
		}
	}
	if len(s.pods) != len(pods) || len(s.queue.parked) != waiting || len(s.preempting) != 0 {
		t.Errorf("%d pods followed of %d, %d parked of %d, %d going", len(s.pods), len(pods), len(s.queue.parked), waiting, len(s.preempting))
	}
}

// told tells whether the status says why the pod waits.
func told(p *corev1.Pod, r report) bool {
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		if c.Type == corev1.PodScheduled {
			r.message = c.Message
			return r.isIn(p)
		}
	}
	return false
}
