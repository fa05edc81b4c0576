package apps

import (
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Scales of the time before autoscaling/v1 have the selector twice: as a map, where
// that can say it, and as text. The three have the same fields in Go.

var (
	scaleExtensions = scaleForm(extensionsv1beta1.SchemeGroupVersion,
		func(s *extensionsv1beta1.Scale) *oldScale {
			return &oldScale{&s.ObjectMeta, &s.Spec.Replicas, &s.Status.Replicas, &s.Status.Selector, &s.Status.TargetSelector}
		})
	scaleV1beta1 = scaleForm(appsv1beta1.SchemeGroupVersion,
		func(s *appsv1beta1.Scale) *oldScale {
			return &oldScale{&s.ObjectMeta, &s.Spec.Replicas, &s.Status.Replicas, &s.Status.Selector, &s.Status.TargetSelector}
		})
	scaleV1beta2 = scaleForm(appsv1beta2.SchemeGroupVersion,
		func(s *appsv1beta2.Scale) *oldScale {
			return &oldScale{&s.ObjectMeta, &s.Spec.Replicas, &s.Status.Replicas, &s.Status.Selector, &s.Status.TargetSelector}
		})
)

// oldScale is where a scale of any of the three has its parts.
type oldScale struct {
	meta               *metav1.ObjectMeta
	replicas, observed *int32
	selector           *map[string]string
	text               *string
}

func scaleForm[S any](gv schema.GroupVersion, parts func(*S) *oldScale) *api.ScaleForm {
	kind := gv.WithKind("Scale")
	return &api.ScaleForm{
		Kind: kind,
		New:  func() runtime.Object { return any(new(S)).(runtime.Object) },
		Read: func(o runtime.Object) *autoscalingv1.Scale {
			p := parts(any(o).(*S))
			return &autoscalingv1.Scale{ObjectMeta: *p.meta, Spec: autoscalingv1.ScaleSpec{Replicas: *p.replicas},
				Status: autoscalingv1.ScaleStatus{Replicas: *p.observed, Selector: *p.text}}
		},
		Show: func(from *autoscalingv1.Scale) runtime.Object {
			out := new(S)
			p := parts(out)
			*p.meta, *p.replicas, *p.observed, *p.text = from.ObjectMeta, from.Spec.Replicas, from.Status.Replicas, from.Status.Selector
			if s, err := metav1.ParseToLabelSelector(from.Status.Selector); err == nil && len(s.MatchExpressions) == 0 {
				*p.selector = s.MatchLabels
			}
			o := any(out).(runtime.Object)
			o.GetObjectKind().SetGroupVersionKind(kind)
			return o
		},
	}
}
