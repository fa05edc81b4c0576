package namespace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func rows() []*api.Resource { return all.Rows }

func terminating() *corev1.Namespace {
	at := metav1.NewTime(controllertest.Start)
	return &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "a", DeletionTimestamp: &at}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating},
	}
}

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "a", Name: name} }

func TestStep(t *testing.T) {
	active := terminating()
	active.DeletionTimestamp = nil
	held := &corev1.ConfigMap{ObjectMeta: meta("c")}
	at := metav1.NewTime(controllertest.Start)
	held.DeletionTimestamp, held.Finalizers = &at, []string{"x/y"}
	for name, c := range map[string]struct {
		objects []api.Object
		want    []string
		reason  string // of NamespaceContentRemaining
		after   time.Duration
	}{
		"active":     {[]api.Object{active, &corev1.ConfigMap{ObjectMeta: meta("c")}}, nil, "", 0},
		"pods first": {[]api.Object{terminating(), &corev1.Pod{ObjectMeta: meta("p")}, &corev1.ConfigMap{ObjectMeta: meta("c")}}, []string{"delete pods a/p"}, "", soon},
		"the rest":   {[]api.Object{terminating(), &appsv1.ReplicaSet{ObjectMeta: meta("rs")}, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "c"}}}, []string{"delete replicasets a/rs"}, "", soon},
		"waits":      {[]api.Object{terminating(), held}, []string{"update namespaces/status a"}, "Some resources are remaining: configmaps. has 1 resource instances", later},
		"empty":      {[]api.Object{terminating()}, []string{"update namespaces/status a", "update namespaces/finalize a"}, "All content successfully removed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New(c.objects...)
			got, after, err := controllertest.Step(t, k, Spec(rows), controller.Key{Name: "a"}, controllertest.Start)
			if err != nil || after != c.after {
				t.Error(after, err)
			}
			controllertest.Equal(t, got, c.want)
			ns, err := client.Get[*corev1.Namespace](t.Context(), k, "", "a")
			if err != nil {
				return
			}
			if m := message(ns, corev1.NamespaceContentRemaining); m != c.reason {
				t.Errorf("content remaining: %q", m)
			}
		})
	}
}

func message(ns *corev1.Namespace, t corev1.NamespaceConditionType) string {
	for _, c := range ns.Status.Conditions {
		if c.Type == t {
			return c.Message
		}
	}
	return ""
}

func TestFailure(t *testing.T) {
	k := clienttest.New(terminating(), &corev1.ConfigMap{ObjectMeta: meta("c")})
	k.Refuse = func(w clienttest.Write, _ api.Object) error {
		if w.Verb == "delete" {
			return errors.New("webhook is down")
		}
		return nil
	}
	if _, _, err := controllertest.Step(t, k, Spec(rows), controller.Key{Name: "a"}, controllertest.Start); err == nil {
		t.Error("no error")
	}
	ns, _ := client.Get[*corev1.Namespace](t.Context(), k, "", "a")
	if m := message(ns, corev1.NamespaceDeletionContentFailure); m != "Failed to delete all resource types, 1 remaining: webhook is down" {
		t.Error(m)
	}
}

func TestDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ns := terminating()
		ns.DeletionTimestamp, ns.Status.Phase = nil, corev1.NamespaceActive
		pod := &corev1.Pod{ObjectMeta: meta("p"), Spec: corev1.PodSpec{NodeName: "n"}}
		k := clienttest.New(ns, pod, &corev1.ConfigMap{ObjectMeta: meta("c")}, &corev1.Secret{ObjectMeta: meta("s")})
		_, cancel := controllertest.Run(t, k, Spec(rows))
		defer cancel()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		if err := client.Delete[*corev1.Namespace](ctx, k, "", "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := client.Get[*corev1.ConfigMap](ctx, k, "a", "c"); err != nil {
			t.Error("deleted before the pod was gone", err)
		}
		now := int64(0)
		client.Delete[*corev1.Pod](ctx, k, "a", "p", metav1.DeleteOptions{GracePeriodSeconds: &now})
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := client.Get[*corev1.Namespace](ctx, k, "", "a"); !apierrors.IsNotFound(err) {
			t.Error("still there", err)
		}
	})
}
