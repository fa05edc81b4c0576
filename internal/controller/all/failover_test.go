package all

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	rows "github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

// machines are two nodes: every second, each that is up renews its lease and
// runs its pods, and pods without a node get the first that has no taint.
type machines struct {
	c  *clienttest.Client
	mu sync.Mutex
	up map[string]bool
}

func (m *machines) run(ctx context.Context) {
	for ctx.Err() == nil {
		m.tick(ctx)
		time.Sleep(time.Second)
	}
}

func (m *machines) tick(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, up := range m.up {
		if up {
			t := metav1.NowMicro()
			m.c.Add(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}, Spec: coordinationv1.LeaseSpec{RenewTime: &t}})
		}
	}
	pods, _ := client.List[*corev1.Pod](ctx, m.c, "", nil)
	load := map[string]int{}
	for _, p := range pods {
		load[p.Spec.NodeName]++
	}
	for _, p := range pods {
		switch {
		case p.Spec.NodeName == "":
			best := ""
			for name := range m.up {
				n, err := client.Get[*corev1.Node](ctx, m.c, "", name)
				if err == nil && len(n.Spec.Taints) == 0 && (best == "" || load[name] < load[best]) {
					best = name
				}
			}
			load[best]++
			if best != "" {
				m.c.Bind(ctx, p.Namespace, p.Name, p.UID, best)
			}
		case !m.up[p.Spec.NodeName]:
		case p.DeletionTimestamp != nil:
			now := int64(0)
			client.Delete[*corev1.Pod](ctx, m.c, p.Namespace, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		case !controller.PodReady(p):
			client.UpdateStatus(ctx, m.c, controllertest.Running(p, true, time.Now()))
		}
	}
}

// TestFailover: a node falls silent, and its pods run on the other one after the
// grace period and the seconds that they tolerate.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ready := func(name string) *corev1.Node {
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
		}
		app, n, two := map[string]string{"app": "web"}, int32(4), int64(2)
		k := clienttest.New(ready("one"), ready("two"), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}, Spec: appsv1.DeploymentSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{
				Containers:  []corev1.Container{{Name: "c", Image: "i"}},
				Tolerations: []corev1.Toleration{{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &two}},
			}},
		}})
		m := &machines{c: k, up: map[string]bool{"one": true, "two": true}}
		events := &controllertest.Events{}
		e := &controller.Engine{Client: k, Events: events, Log: slog.New(slog.NewTextHandler(writer{t}, nil)), Now: time.Now}
		var wg sync.WaitGroup
		for _, c := range Controllers(Config{Rows: func() []*api.Resource { return rows.Rows }}) {
			wg.Go(func() { c.Run(ctx, e) })
		}
		wg.Go(func() { m.run(ctx) })
		defer func() { cancel(); wg.Wait() }()
		where := func() string {
			t.Helper()
			synctest.Wait()
			count := map[string]int{}
			pods, _ := client.List[*corev1.Pod](ctx, k, "a", nil)
			for _, p := range pods {
				s := p.Spec.NodeName
				if p.DeletionTimestamp != nil {
					s += "-"
				} else if !controller.PodReady(p) {
					s += "?"
				}
				count[s]++
			}
			return fmt.Sprint(count)
		}
		expect := func(after time.Duration, want string) {
			t.Helper()
			time.Sleep(after)
			if got := where(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		expect(30*time.Second, "map[one:2 two:2]")
		m.mu.Lock()
		m.up["one"] = false
		m.mu.Unlock()
		events.List()
		expect(39*time.Second, "map[one:2 two:2]")
		expect(3*time.Second, "map[one?:2 two:2]")
		expect(4*time.Second, "map[one-:2 two:4]")
		told := events.List()
		for _, want := range []string{"NodeNotReady Node one status is now: NodeNotReady", "NodeNotReady Node is not ready"} {
			if !slices.Contains(told, want) {
				t.Errorf("no event %q in:\n%s", want, strings.Join(told, "\n"))
			}
		}
		d, _ := client.Get[*appsv1.Deployment](ctx, k, "a", "web")
		if d.Status.AvailableReplicas != 4 || *d.Status.TerminatingReplicas != 2 {
			t.Errorf("%+v", d.Status)
		}
		// The node is declared gone for good: its pods go too.
		client.Delete[*corev1.Node](ctx, k, "", "one", metav1.DeleteOptions{})
		expect(time.Minute, "map[two:4]")
	})
}
