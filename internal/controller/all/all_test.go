package all

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/api"
	rows "github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

type writer struct{ t *testing.T }

func (w writer) Write(b []byte) (int, error) { w.t.Log(string(b)); return len(b), nil }

// TestTogether runs every controller on one cluster: a namespace, a Deployment
// with a Service, and their end.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		k := clienttest.New(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
		log := slog.New(slog.NewTextHandler(writer{t}, nil))
		e := &controller.Engine{Client: k, Log: log, Now: time.Now, Events: client.NewRecorder(ctx, k, time.Now, log)}
		var wg sync.WaitGroup
		for _, c := range Controllers(Config{RootCA: []byte("pem"), ClusterCIDR: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")},
			Rows: func() []*api.Resource { return rows.Rows }}) {
			wg.Go(func() { c.Run(ctx, e) })
		}
		wg.Go(func() { controllertest.Node(ctx, k, nil) })
		defer func() { cancel(); wg.Wait() }()
		settle := func() { time.Sleep(20 * time.Second); synctest.Wait() }
		check := func(what string, ok bool) {
			t.Helper()
			if !ok {
				t.Error(what)
			}
		}
		settle()
		node, _ := client.Get[*corev1.Node](ctx, k, "", "node")
		check("node range", node.Spec.PodCIDR == "10.244.0.0/24")

		create := func(o api.Object) {
			t.Helper()
			if _, err := k.Create(ctx, rows.Of(o), o); err != nil {
				t.Fatal(err)
			}
		}
		create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
		app, n := map[string]string{"app": "web"}, int32(3)
		create(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}, Spec: appsv1.DeploymentSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
		}})
		create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}, Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.9", Selector: app, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80), Protocol: corev1.ProtocolTCP}}}})
		settle()
		d, _ := client.Get[*appsv1.Deployment](ctx, k, "a", "web")
		check(fmt.Sprintf("deployment %+v", d.Status), d.Status.AvailableReplicas == 3)
		slices, _ := client.List[*discoveryv1.EndpointSlice](ctx, k, "a", nil)
		check("slice", len(slices) == 1 && len(slices[0].Endpoints) == 3)
		ep, _ := client.Get[*corev1.Endpoints](ctx, k, "a", "web")
		check("endpoints", ep != nil && len(ep.Subsets) == 1 && len(ep.Subsets[0].Addresses) == 3)
		_, err := client.Get[*corev1.ServiceAccount](ctx, k, "a", "default")
		check("service account", err == nil)
		ca, err := client.Get[*corev1.ConfigMap](ctx, k, "a", "kube-root-ca.crt")
		check("root CA", err == nil && ca.Data["ca.crt"] == "pem")
		events, _ := client.List[*corev1.Event](ctx, k, "a", nil)
		var told []string
		for _, ev := range events {
			told = append(told, fmt.Sprintf("%s/%s %s %s", ev.InvolvedObject.APIVersion, ev.InvolvedObject.Kind, ev.Source.Component, ev.Reason))
		}
		all := strings.Join(told, "\n")
		check("events:\n"+all, strings.Contains(all, "apps/v1/Deployment deployment-controller ScalingReplicaSet") && strings.Count(all, "apps/v1/ReplicaSet replicaset-controller SuccessfulCreate") == 3)

		k.Log()
		settle()
		check(fmt.Sprintf("not at rest: %q", k.Log()), len(k.Log()) == 0)

		if err := client.Delete[*corev1.Service](ctx, k, "a", "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		settle()
		slices, _ = client.List[*discoveryv1.EndpointSlice](ctx, k, "a", nil)
		_, err = client.Get[*corev1.Endpoints](ctx, k, "a", "web")
		check("endpoints outlive their service", len(slices) == 0 && apierrors.IsNotFound(err))

		if err := client.Delete[*corev1.Namespace](ctx, k, "", "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		settle()
		_, err = client.Get[*corev1.Namespace](ctx, k, "", "a")
		check(fmt.Sprintf("namespace is still there: %v", err), apierrors.IsNotFound(err))
		for _, r := range rows.Rows {
			if left, _, _ := k.List(ctx, r, "a", client.Selector{}); r.Namespaced && len(left) > 0 {
				t.Errorf("%d %s left", len(left), r.GVR.Resource)
			}
		}
		t.Logf("%d goroutines", runtime.NumGoroutine())
	})
}
