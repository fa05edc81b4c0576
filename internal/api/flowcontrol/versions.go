package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	flowcontrolv1beta1 "k8s.io/api/flowcontrol/v1beta1"
	flowcontrolv1beta2 "k8s.io/api/flowcontrol/v1beta2"
	flowcontrolv1beta3 "k8s.io/api/flowcontrol/v1beta3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var schemaVersions = api.Versions{
	api.As[flowcontrolv1.FlowSchema, flowcontrolv1beta3.FlowSchema]{Version: flowcontrolv1beta3.SchemeGroupVersion, List: &flowcontrolv1beta3.FlowSchemaList{}},
	api.As[flowcontrolv1.FlowSchema, flowcontrolv1beta2.FlowSchema]{Version: flowcontrolv1beta2.SchemeGroupVersion, List: &flowcontrolv1beta2.FlowSchemaList{}},
	api.As[flowcontrolv1.FlowSchema, flowcontrolv1beta1.FlowSchema]{Version: flowcontrolv1beta1.SchemeGroupVersion, List: &flowcontrolv1beta1.FlowSchemaList{}},
}

// Before v1 no shares at all meant the default. A level that has none since v1 says so in an annotation, upstream's.
const (
	noShares      = flowcontrolv1beta3.PriorityLevelPreserveZeroConcurrencySharesKey
	defaultShares = 30
)

// sharesOf are the shares that an old version says; nil: the default is meant.
func sharesOf(o *metav1.ObjectMeta, n int32) *int32 {
	_, none := o.Annotations[noShares]
	switch {
	case n != 0:
	case none:
		delete(o.Annotations, noShares)
		if len(o.Annotations) == 0 {
			o.Annotations = nil
		}
	default:
		n = defaultShares
	}
	return &n
}

// showShares are the shares as an old version says them; the metadata is the reader's own.
func showShares(o *metav1.ObjectMeta, n *int32) int32 {
	if n == nil {
		return defaultShares
	}
	if *n == 0 {
		if o.Annotations == nil {
			o.Annotations = map[string]string{}
		}
		o.Annotations[noShares] = ""
	}
	return *n
}

var levelVersions = api.Versions{
	api.As[flowcontrolv1.PriorityLevelConfiguration, flowcontrolv1beta3.PriorityLevelConfiguration]{
		Version: flowcontrolv1beta3.SchemeGroupVersion, List: &flowcontrolv1beta3.PriorityLevelConfigurationList{},
		AfterRead: func(from *flowcontrolv1beta3.PriorityLevelConfiguration, to *flowcontrolv1.PriorityLevelConfiguration) {
			if l := from.Spec.Limited; l != nil {
				to.Spec.Limited.NominalConcurrencyShares = sharesOf(&to.ObjectMeta, l.NominalConcurrencyShares)
			}
		},
		AfterShow: func(from *flowcontrolv1.PriorityLevelConfiguration, to *flowcontrolv1beta3.PriorityLevelConfiguration) {
			if l := from.Spec.Limited; l != nil {
				to.Spec.Limited.NominalConcurrencyShares = showShares(&to.ObjectMeta, l.NominalConcurrencyShares)
			}
		}},
	api.As[flowcontrolv1.PriorityLevelConfiguration, flowcontrolv1beta2.PriorityLevelConfiguration]{
		Version: flowcontrolv1beta2.SchemeGroupVersion, List: &flowcontrolv1beta2.PriorityLevelConfigurationList{},
		AfterRead: func(from *flowcontrolv1beta2.PriorityLevelConfiguration, to *flowcontrolv1.PriorityLevelConfiguration) {
			if l := from.Spec.Limited; l != nil {
				to.Spec.Limited.NominalConcurrencyShares = sharesOf(&to.ObjectMeta, l.AssuredConcurrencyShares)
			}
		},
		AfterShow: func(from *flowcontrolv1.PriorityLevelConfiguration, to *flowcontrolv1beta2.PriorityLevelConfiguration) {
			if l := from.Spec.Limited; l != nil {
				to.Spec.Limited.AssuredConcurrencyShares = showShares(&to.ObjectMeta, l.NominalConcurrencyShares)
			}
		}},
	api.As[flowcontrolv1.PriorityLevelConfiguration, flowcontrolv1beta1.PriorityLevelConfiguration]{
		Version: flowcontrolv1beta1.SchemeGroupVersion, List: &flowcontrolv1beta1.PriorityLevelConfigurationList{},
		AfterRead: func(from *flowcontrolv1beta1.PriorityLevelConfiguration, to *flowcontrolv1.PriorityLevelConfiguration) {
			if l := from.Spec.Limited; l != nil {
				to.Spec.Limited.NominalConcurrencyShares = sharesOf(&to.ObjectMeta, l.AssuredConcurrencyShares)
			}
		},
		AfterShow: func(from *flowcontrolv1.PriorityLevelConfiguration, to *flowcontrolv1beta1.PriorityLevelConfiguration) {
			if l := from.Spec.Limited; l != nil {
				to.Spec.Limited.AssuredConcurrencyShares = showShares(&to.ObjectMeta, l.NominalConcurrencyShares)
			}
		}},
}
