package rootca

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func TestStep(t *testing.T) {
	k := clienttest.New(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	step := func(ca string, want ...string) {
		t.Helper()
		got, _, err := controllertest.Step(t, k, Spec([]byte(ca)), controller.Key{Name: "a"}, controllertest.Start)
		if err != nil {
			t.Fatal(err)
		}
		controllertest.Equal(t, got, want)
		m, err := client.Get[*corev1.ConfigMap](t.Context(), k, "a", name)
		if err != nil || m.Data["ca.crt"] != ca || m.Annotations[annotation] == "" {
			t.Errorf("%+v, %v", m, err)
		}
	}
	step("one", "create configmaps a/kube-root-ca.crt")
	step("one")
	step("two", "update configmaps a/kube-root-ca.crt")
}
