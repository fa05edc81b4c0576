package garbagecollector

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func ref(kind, name string, uid types.UID, control, block bool) metav1.OwnerReference {
	version := "apps/v1"
	if kind == "ConfigMap" || kind == "Pod" || kind == "Node" {
		version = "v1"
	}
	return metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: uid, Controller: &control, BlockOwnerDeletion: &block}
}

func meta(name string, refs ...metav1.OwnerReference) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "a", Name: name, UID: types.UID(name), OwnerReferences: refs}
}

// chain is a Deployment, its ReplicaSet and that one's pod, and a ConfigMap that
// depends on the ReplicaSet without blocking it.
func chain() []api.Object {
	return []api.Object{
		&appsv1.Deployment{ObjectMeta: meta("d")},
		&appsv1.ReplicaSet{ObjectMeta: meta("rs", ref("Deployment", "d", "d", true, true))},
		&corev1.Pod{ObjectMeta: meta("p", ref("ReplicaSet", "rs", "rs", true, true))},
		&corev1.ConfigMap{ObjectMeta: meta("c", ref("ReplicaSet", "rs", "rs", false, false))},
	}
}

func run(t *testing.T, c *clienttest.Client) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	e := &controller.Engine{Client: c, Events: &controllertest.Events{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now}
	go func() {
		defer close(done)
		Run(ctx, e, func() []*api.Resource { return all.Rows }, nil)
	}()
	synctest.Wait()
	return func() { cancel(); <-done }
}

// left lists what is there: "name[owners]".
func left(c *clienttest.Client) string {
	var out []string
	for _, r := range []*api.Resource{all.For[*appsv1.Deployment](), all.For[*appsv1.ReplicaSet](), all.For[*corev1.Pod](), all.For[*corev1.ConfigMap]()} {
		os, _, _ := c.List(context.Background(), r, "", client.Selector{})
		for _, o := range os {
			s := o.GetName()
			for _, ref := range o.GetOwnerReferences() {
				s += "<" + ref.Name
			}
			if o.GetDeletionTimestamp() != nil {
				s += "-"
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func TestPropagation(t *testing.T) {
	for policy, want := range map[metav1.DeletionPropagation]struct{ left, log string }{
		metav1.DeletePropagationBackground: {"", "delete deployments a/d,delete replicasets a/rs"},
		metav1.DeletePropagationForeground: {"", "delete deployments a/d,delete replicasets a/rs"},
		metav1.DeletePropagationOrphan:     {"rs p<rs c<rs", "delete deployments a/d,update replicasets a/rs,update deployments a/d"},
	} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clienttest.New(chain()...)
				stop := run(t, c)
				defer stop()
				if got := left(c); got != "d rs<d p<rs c<rs" || len(c.Log()) > 0 {
					t.Fatalf("before: %s", got)
				}
				if err := client.Delete[*appsv1.Deployment](t.Context(), c, "a", "d", metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := left(c); got != want.left {
					t.Errorf("left %q, want %q", got, want.left)
				}
				if log := strings.Join(c.Log(), ","); !strings.HasPrefix(log, want.log) {
					t.Errorf("log %q", log)
				}
			})
		})
	}
}

// TestForegroundOrder: dependents that block are gone before their owner.
func TestForegroundOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clienttest.New(chain()...)
		p, _ := client.Get[*corev1.Pod](t.Context(), c, "a", "p")
		held := p.DeepCopy()
		held.Finalizers = []string{"x/y"}
		c.Add(held)
		stop := run(t, c)
		defer stop()
		policy := metav1.DeletePropagationForeground
		client.Delete[*appsv1.Deployment](t.Context(), c, "a", "d", metav1.DeleteOptions{PropagationPolicy: &policy})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := left(c); got != "d- rs<d- p<rs-" {
			t.Errorf("while the pod is held: %s", got)
		}
		p, _ = client.Get[*corev1.Pod](t.Context(), c, "a", "p")
		free := p.DeepCopy()
		free.Finalizers = nil
		client.Update(t.Context(), c, free)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := left(c); got != "" {
			t.Errorf("left %s", got)
		}
	})
}

// TestOwners: what happens to an object with the given owners once it is seen.
func TestOwners(t *testing.T) {
	for name, c := range map[string]struct {
		refs []metav1.OwnerReference
		want string
	}{
		"there":               {[]metav1.OwnerReference{ref("Deployment", "d", "d", true, true)}, "d o<d"},
		"absent":              {[]metav1.OwnerReference{ref("Deployment", "x", "x", true, true)}, "d"},
		"another of the name": {[]metav1.OwnerReference{ref("Deployment", "d", "old", true, true)}, "d"},
		"one of two absent":   {[]metav1.OwnerReference{ref("Deployment", "d", "d", true, true), ref("ConfigMap", "x", "x", false, false)}, "d o<d"},
		"unknown kind":        {[]metav1.OwnerReference{ref("Gadget", "x", "x", true, true)}, "d o<x"},
		"cluster-wide":        {[]metav1.OwnerReference{ref("Node", "n", "n", false, false)}, "d o<n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := clienttest.New(&appsv1.Deployment{ObjectMeta: meta("d")}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "n"}})
				stop := run(t, k)
				defer stop()
				k.Add(&corev1.ConfigMap{ObjectMeta: meta("o", c.refs...)})
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := left(k); got != c.want {
					t.Errorf("left %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestCircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := clienttest.New(
			&corev1.ConfigMap{ObjectMeta: meta("x", ref("ConfigMap", "y", "y", false, true))},
			&corev1.ConfigMap{ObjectMeta: meta("y", ref("ConfigMap", "x", "x", false, true))},
		)
		stop := run(t, k)
		defer stop()
		policy := metav1.DeletePropagationForeground
		client.Delete[*corev1.ConfigMap](t.Context(), k, "a", "x", metav1.DeleteOptions{PropagationPolicy: &policy})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := left(k); got != "" {
			t.Errorf("left %s", got)
		}
	})
}

func TestGraphForgets(t *testing.T) {
	g := newGraph()
	r := all.For[*corev1.Pod]()
	rowOf := func(string, string) *api.Resource { return nil }
	for i := range 10 {
		o := &corev1.Pod{ObjectMeta: meta(fmt.Sprint(i), ref("ReplicaSet", "rs", "rs", true, true))}
		g.observe(r, client.Event{Type: "ADDED", Object: o}, rowOf)
	}
	if n := len(g.dependentsOf("rs")); n != 10 {
		t.Error(n)
	}
	g.observe(r, client.Event{Type: "DELETED", Object: &corev1.Pod{ObjectMeta: meta("3")}}, rowOf)
	if slices.Contains(g.dependentsOf("rs"), ID{r, "a", "3"}) {
		t.Error("3 is still there")
	}
	g.forget(r)
	if len(g.owners)+len(g.dependents) > 0 {
		t.Error(g)
	}
}
