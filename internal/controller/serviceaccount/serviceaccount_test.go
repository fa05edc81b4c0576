package serviceaccount

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

func TestStep(t *testing.T) {
	at := metav1.NewTime(controllertest.Start)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	going := ns.DeepCopy()
	going.DeletionTimestamp = &at
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "default"}}
	for name, c := range map[string]struct {
		objects []api.Object
		want    []string
	}{
		"made":            {[]api.Object{ns}, []string{"create serviceaccounts a/default"}},
		"there":           {[]api.Object{ns, account}, nil},
		"going namespace": {[]api.Object{going}, nil},
		"no namespace":    {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := controllertest.Step(t, clienttest.New(c.objects...), Spec(), controller.Key{Name: "a"}, controllertest.Start)
			if err != nil {
				t.Fatal(err)
			}
			controllertest.Equal(t, got, c.want)
		})
	}
}
