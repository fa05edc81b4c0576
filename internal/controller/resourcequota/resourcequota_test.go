package resourcequota

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
)

func quotaOf(name string, scopes []corev1.ResourceQuotaScope, hard ...string) *corev1.ResourceQuota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
	q.Spec.Scopes, q.Spec.Hard = scopes, corev1.ResourceList{}
	for _, h := range hard {
		q.Spec.Hard[corev1.ResourceName(h)] = resource.MustParse("10")
	}
	return q
}

func pod(name, cpu string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}, Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	p.Status.QOSClass = corev1.PodQOSBurstable
	return p
}

func used(t *testing.T, k *clienttest.Client, name string) string {
	t.Helper()
	q, err := client.Get[*corev1.ResourceQuota](context.Background(), k, "a", name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(q.Status.Used)) {
		u := q.Status.Used[n]
		out = append(out, fmt.Sprintf("%s=%s", n, u.String()))
	}
	return strings.Join(out, " ")
}

func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := clienttest.New(
			quotaOf("compute", nil, "pods", "requests.cpu", "count/pods"),
			quotaOf("best", []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}, "pods"),
			quotaOf("objects", nil, "configmaps", "count/configmaps", "count/deployments.apps", "count/unknown.example.com"),
			pod("p1", "1"), pod("p2", "500m"),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "c"}},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "c"}},
		)
		ctx, cancel := context.WithCancel(t.Context())
		e := &controller.Engine{Client: k, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now}
		done := make(chan error, 1)
		go func() { done <- Run(ctx, e, func() []*api.Resource { return all.Rows }) }()
		defer func() { cancel(); <-done }()
		expect := func(name, want string) {
			t.Helper()
			if got := used(t, k, name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		settled := func() { time.Sleep(2 * settle); synctest.Wait() }
		settled()
		expect("compute", "count/pods=2 pods=2 requests.cpu=1500m")
		expect("best", "pods=0")
		expect("objects", "configmaps=1 count/configmaps=1 count/deployments.apps=0")

		// A pod that ends gives its resources back, and counts as an object still.
		p, _ := client.Get[*corev1.Pod](ctx, k, "a", "p1")
		p = p.DeepCopy()
		p.Status.Phase = corev1.PodSucceeded
		client.UpdateStatus(ctx, k, p)
		synctest.Wait()
		expect("compute", "count/pods=2 pods=1 requests.cpu=500m")

		now := int64(0)
		client.Delete[*corev1.Pod](ctx, k, "a", "p1", metav1.DeleteOptions{GracePeriodSeconds: &now})
		client.Delete[*corev1.ConfigMap](ctx, k, "a", "c", metav1.DeleteOptions{})
		synctest.Wait()
		expect("compute", "count/pods=1 pods=1 requests.cpu=500m")
		expect("objects", "configmaps=0 count/configmaps=0 count/deployments.apps=0")

		// One that is being deleted and outstays its grace period counts no more.
		grace := int64(30)
		client.Delete[*corev1.Pod](ctx, k, "a", "p2", metav1.DeleteOptions{GracePeriodSeconds: &grace})
		time.Sleep(50 * time.Second)
		synctest.Wait()
		expect("compute", "count/pods=1 pods=1 requests.cpu=500m")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		expect("compute", "count/pods=1 pods=0 requests.cpu=0")

		// A changed spec is taken over.
		q, _ := client.Get[*corev1.ResourceQuota](ctx, k, "a", "objects")
		q = q.DeepCopy()
		q.Spec.Hard = corev1.ResourceList{"secrets": resource.MustParse("1")}
		client.Update(ctx, k, q)
		settled()
		expect("objects", "secrets=0")
		k.Log()
		time.Sleep(2 * resync)
		synctest.Wait()
		if l := k.Log(); len(l) > 0 {
			t.Errorf("not at rest: %q", l)
		}
	})
}

// racing is charged right after each of the first lists.
type racing struct {
	*clienttest.Client
	races int
}

func (r *racing) List(ctx context.Context, row *api.Resource, ns string, s client.Selector) ([]api.Object, int64, error) {
	out, rev, err := r.Client.List(ctx, row, ns, s)
	if r.races > 0 {
		r.races--
		q, _ := client.Get[*corev1.ResourceQuota](ctx, r.Client, "a", "q")
		q = q.DeepCopy()
		q.Labels = map[string]string{"race": fmt.Sprint(r.races)}
		r.Add(q)
		r.Add(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprint("c", r.races)}})
	}
	return out, rev, err
}

// TestChargedMeanwhile: what is charged while a step counts is not lost.
func TestChargedMeanwhile(t *testing.T) {
	k := &racing{clienttest.New(quotaOf("q", nil, "configmaps")), 3}
	e := &controller.Engine{Client: k, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now}
	s := controller.Spec{Name: Name, Step: func(v controller.View, key controller.Key) (controller.Plan, error) { return step(v, key, all.Rows) }}
	after, err := e.Step(t.Context(), s, controller.Key{Namespace: "a", Name: "q"})
	if err != nil || after != settle || k.races != 0 {
		t.Error(after, err, k.races)
	}
	if got := used(t, k.Client, "q"); got != "configmaps=3" {
		t.Error(got)
	}
}
