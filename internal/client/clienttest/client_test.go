package clienttest

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
}

func TestWrites(t *testing.T) {
	ctx, c := context.Background(), New()
	r := all.For[*corev1.ConfigMap]()
	got, err := client.Create(ctx, c, configMap("x"))
	if err != nil || got.UID == "" || got.ResourceVersion != "1" || got.CreationTimestamp.IsZero() {
		t.Fatalf("created %+v, %v", got, err)
	}
	if _, err := client.Create(ctx, c, configMap("x")); !apierrors.IsAlreadyExists(err) {
		t.Error(err)
	}
	next := got.DeepCopy()
	next.Finalizers = []string{"a/b"}
	if _, err := client.Update(ctx, c, next); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Update(ctx, c, next); !apierrors.IsConflict(err) {
		t.Error(err)
	}
	for typ, body := range map[types.PatchType]string{
		types.MergePatchType:          `{"data":{"m":"1"}}`,
		types.StrategicMergePatchType: `{"data":{"s":"1"}}`,
		types.JSONPatchType:           `[{"op":"add","path":"/data/j","value":"1"}]`,
	} {
		if typ == types.JSONPatchType {
			continue // needs the others' map
		}
		if _, err := c.Patch(ctx, r, "a", "x", typ, []byte(body), ""); err != nil {
			t.Error(typ, err)
		}
	}
	if _, err := c.Patch(ctx, r, "a", "x", types.JSONPatchType, []byte(`[{"op":"add","path":"/data/j","value":"1"}]`), ""); err != nil {
		t.Error(err)
	}
	wrong := types.UID("other")
	if err := client.Delete[*corev1.ConfigMap](ctx, c, "a", "x", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}}); !apierrors.IsConflict(err) {
		t.Error(err)
	}
	if err := client.Delete[*corev1.ConfigMap](ctx, c, "a", "x", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	held, err := client.Get[*corev1.ConfigMap](ctx, c, "a", "x")
	if err != nil || held.DeletionTimestamp == nil || len(held.Data) != 3 {
		t.Fatalf("held %+v, %v", held, err)
	}
	free := held.DeepCopy()
	free.Finalizers = nil
	if _, err := client.Update(ctx, c, free); err != nil {
		t.Error(err)
	}
	if _, err := client.Get[*corev1.ConfigMap](ctx, c, "a", "x"); !apierrors.IsNotFound(err) {
		t.Error(err)
	}
	want := []string{"create configmaps a/x", "update configmaps a/x", "patch configmaps a/x", "patch configmaps a/x", "patch configmaps a/x", "delete configmaps a/x", "update configmaps a/x"}
	if got := c.Log(); !slices.Equal(got, want) {
		t.Errorf("log %q", got)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		one := configMap("one")
		one.Labels = map[string]string{"l": "1"}
		c := New(one, configMap("two"))
		w, err := c.Watch(ctx, all.For[*corev1.ConfigMap](), "a", client.Selector{Labels: labels.SelectorFromSet(labels.Set{"l": "1"})}, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		read := func() (out []string) {
			events, err := w.Next(ctx)
			if err != nil {
				return []string{err.Error()}
			}
			for _, e := range events {
				s := string(e.Type)
				if e.Object != nil {
					s += " " + e.Object.GetName()
				}
				out = append(out, s)
			}
			return out
		}
		if got := read(); !slices.Equal(got, []string{"ADDED one", "BOOKMARK"}) {
			t.Errorf("first %q", got)
		}
		for _, step := range []struct {
			name   string
			labels map[string]string
			want   watch.EventType
		}{{"two", map[string]string{"l": "1"}, watch.Added}, {"two", map[string]string{"l": "1", "m": "2"}, watch.Modified}, {"two", nil, watch.Deleted}} {
			o := configMap(step.name)
			o.Labels = step.labels
			go client.Update(ctx, c, o)
			if got := read(); !slices.Equal(got, []string{string(step.want) + " two"}) {
				t.Errorf("%v: %q", step, got)
			}
		}
		c.Expire()
		if _, err := w.Next(ctx); !apierrors.IsResourceExpired(err) {
			t.Error(err)
		}
	})
}
