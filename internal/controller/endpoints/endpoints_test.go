package endpoints

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/controllertest"
)

var key = controller.Key{Namespace: "a", Name: "web"}

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.9", Selector: map[string]string{"app": "x"}, Ports: []corev1.ServicePort{
			{Name: "a", Port: 80, TargetPort: intstr.FromInt32(8080), Protocol: corev1.ProtocolTCP}, {Name: "b", Port: 81, TargetPort: intstr.FromString("b"), Protocol: corev1.ProtocolTCP},
		}},
	}
	if change != nil {
		change(s)
	}
	return s
}

func pod(name, ip string, ready bool, b int32) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "x"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "b", ContainerPort: b}}}}},
		Status:     corev1.PodStatus{PodIP: ip},
	}
	return controllertest.Running(p, ready, controllertest.Start)
}

func text(e *corev1.Endpoints) (out string) {
	for _, s := range e.Subsets {
		for _, p := range s.Ports {
			out += fmt.Sprintf("%s:%d ", p.Name, p.Port)
		}
		for _, a := range s.Addresses {
			out += a.IP + " "
		}
		for _, a := range s.NotReadyAddresses {
			out += "(" + a.IP + ") "
		}
		out += "; "
	}
	return out
}

func TestStep(t *testing.T) {
	gone := pod("g", "10.0.0.9", true, 1)
	at := metav1.NewTime(controllertest.Start)
	gone.DeletionTimestamp = &at
	for name, c := range map[string]struct {
		s    *corev1.Service
		pods []*corev1.Pod
		want string
	}{
		"none":                {service(nil), nil, ""},
		"one subset":          {service(nil), []*corev1.Pod{pod("1", "10.0.0.2", true, 9), pod("2", "10.0.0.1", true, 9), pod("3", "10.0.0.3", false, 9), gone}, "a:8080 b:9 10.0.0.1 10.0.0.2 (10.0.0.3) ; "},
		"ports differ":        {service(nil), []*corev1.Pod{pod("1", "10.0.0.1", true, 9), pod("2", "10.0.0.2", true, 10)}, "a:8080 10.0.0.1 10.0.0.2 ; b:9 10.0.0.1 ; b:10 10.0.0.2 ; "},
		"without ports":       {service(func(s *corev1.Service) { s.Spec.Ports, s.Spec.ClusterIP = nil, "None" }), []*corev1.Pod{pod("1", "10.0.0.1", true, 9)}, "10.0.0.1 ; "},
		"not ready published": {service(func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true; s.Spec.Ports = s.Spec.Ports[:1] }), []*corev1.Pod{pod("1", "10.0.0.1", false, 9), gone}, "a:8080 10.0.0.1 10.0.0.9 ; "},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New(c.s)
			for _, p := range c.pods {
				k.Add(p)
			}
			if got, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); err != nil || len(got) != 1 || got[0] != "create endpoints a/web" {
				t.Fatal(got, err)
			}
			e, _ := client.Get[*corev1.Endpoints](t.Context(), k, "a", "web")
			if got := text(e); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if e.Labels[managedLabel] != managedBy {
				t.Error(e.Labels)
			}
			if again, _, err := controllertest.Step(t, k, Spec(), key, controllertest.Start); len(again) > 0 || err != nil {
				t.Errorf("not at rest: %q %v", again, err)
			}
			if err := client.Delete[*corev1.Service](t.Context(), k, "a", "web", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if got, _, _ := controllertest.Step(t, k, Spec(), key, controllertest.Start); len(got) != 1 || got[0] != "delete endpoints a/web" {
				t.Errorf("after the service: %q", got)
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	many := make([]corev1.EndpointAddress, capacity-10)
	subs, cut := truncate([]corev1.EndpointSubset{{Addresses: many, NotReadyAddresses: make([]corev1.EndpointAddress, 20)}, {Addresses: make([]corev1.EndpointAddress, 5)}})
	if !cut || len(subs[0].NotReadyAddresses) != 5 || len(subs[1].Addresses) != 5 {
		t.Error(cut, len(subs[0].NotReadyAddresses))
	}
}
