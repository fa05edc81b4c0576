package aggregate

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// The label of APIServices that this server made itself, and how it minds them.
const (
	managedLabel = "kube-aggregator.kubernetes.io/automanaged"
	onStart      = "onstart" // brought in order when the server starts, and then left to people
	always       = "true"
)

// group is the place of a built-in group among the others, and of its versions within it.
type group struct {
	priority int32
	versions map[string]int32
}

// priorities are those of kube-apiserver. Versions that it no longer has keep the places that they had.
var priorities = map[string]group{
	"":                             {18000, map[string]int32{"v1": 1}},
	"apps":                         {17800, map[string]int32{"v1": 15, "v1beta2": 9, "v1beta1": 1}},
	"events.k8s.io":                {17750, map[string]int32{"v1": 15, "v1beta1": 5}},
	"authentication.k8s.io":        {17700, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha1": 1}},
	"authorization.k8s.io":         {17600, map[string]int32{"v1": 15, "v1beta1": 9}},
	"autoscaling":                  {17500, map[string]int32{"v2": 30, "v1": 15, "v2beta1": 9, "v2beta2": 1}},
	"batch":                        {17400, map[string]int32{"v1": 15, "v1beta1": 9, "v2alpha1": 9}},
	"certificates.k8s.io":          {17300, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha1": 1}},
	"networking.k8s.io":            {17200, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha1": 1}},
	"policy":                       {17100, map[string]int32{"v1": 15, "v1beta1": 9}},
	"rbac.authorization.k8s.io":    {17000, map[string]int32{"v1": 15, "v1beta1": 12, "v1alpha1": 9}},
	"storage.k8s.io":               {16800, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha1": 1}},
	"apiextensions.k8s.io":         {16700, map[string]int32{"v1": 15, "v1beta1": 9}},
	"admissionregistration.k8s.io": {16700, map[string]int32{"v1": 15, "v1beta1": 12, "v1alpha1": 9}},
	"scheduling.k8s.io":            {16600, map[string]int32{"v1": 15, "v1beta1": 12, "v1alpha1": 9}},
	"coordination.k8s.io":          {16500, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha2": 1}},
	"node.k8s.io":                  {16300, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha1": 1}},
	"discovery.k8s.io":             {16200, map[string]int32{"v1": 15, "v1beta1": 12}},
	"resource.k8s.io":              {16200, map[string]int32{"v1": 21, "v1beta2": 15, "v1beta1": 9, "v1alpha3": 1}},
	"flowcontrol.apiserver.k8s.io": {16100, map[string]int32{"v1": 21, "v1beta3": 18, "v1beta2": 15, "v1beta1": 12, "v1alpha1": 9}},
	"internal.apiserver.k8s.io":    {16000, map[string]int32{"v1alpha1": 9}},
	"storagemigration.k8s.io":      {15800, map[string]int32{"v1": 15, "v1beta1": 9, "v1alpha1": 1}},
	// Last of all: clients take the first group that has a kind, and this one's have long been elsewhere.
	"extensions": {15000, map[string]int32{"v1beta1": 1}},
}

// The places of groups that the table does not have, and of those of CustomResourceDefinitions.
const (
	otherGroup    = 14000
	customGroup   = 1000
	customVersion = 100
)

// Local returns the APIServices of group versions that this server answers itself:
// built in, or of CustomResourceDefinitions. Its own group has none: there is
// nobody who could stand in for it.
func Local(groupVersions []schema.GroupVersion, custom bool) []*apiregistrationv1.APIService {
	var out []*apiregistrationv1.APIService
	for _, o := range everyLocal(groupVersions, custom) {
		if o.Spec.Group != apiregistrationv1.GroupName {
			out = append(out, o)
		}
	}
	return out
}

func everyLocal(groupVersions []schema.GroupVersion, custom bool) []*apiregistrationv1.APIService {
	var out []*apiregistrationv1.APIService
	for _, gv := range groupVersions {
		o := &apiregistrationv1.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: gv.Version + "." + gv.Group, Labels: map[string]string{managedLabel: onStart}},
			Spec:       apiregistrationv1.APIServiceSpec{Group: gv.Group, Version: gv.Version},
		}
		if custom {
			o.Labels[managedLabel] = always
			o.Spec.GroupPriorityMinimum, o.Spec.VersionPriority = customGroup, customVersion
		} else {
			o.Spec.GroupPriorityMinimum, o.Spec.VersionPriority = placeOf(gv)
		}
		out = append(out, o)
	}
	return out
}

// placeOf is the place of a built-in group version.
func placeOf(gv schema.GroupVersion) (ofGroup, ofVersion int32) {
	g, ok := priorities[gv.Group]
	if !ok {
		g.priority = otherGroup
	}
	if v := g.versions[gv.Version]; v > 0 {
		return g.priority, v
	}
	switch {
	case strings.Contains(gv.Version, "alpha"):
		return g.priority, 1
	case strings.Contains(gv.Version, "beta"):
		return g.priority, 9
	}
	return g.priority, 15
}
