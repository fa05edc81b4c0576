package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/skiff-k8s/skiff/internal/client"
)

// limitRanger gives containers the requests and limits that the namespace's
// LimitRanges set where a pod names none, and refuses pods and claims outside of them.
type limitRanger struct{ c client.Reader }

const limitRangerAnnotation = "kubernetes.io/limit-ranger"

func (p limitRanger) admit(ctx context.Context, a *Attributes) error {
	pod := a.Object.(*corev1.Pod)
	ranges, err := client.List[*corev1.LimitRange](ctx, p.c, a.Namespace, nil)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		defaultContainers(pod, r)
	}
	return nil
}

func (p limitRanger) validate(ctx context.Context, a *Attributes) error {
	// What is on its way out may lose its finalizers, whatever the limits say now.
	if a.Operation == Update && a.Old.GetDeletionTimestamp() != nil {
		return nil
	}
	ranges, err := client.List[*corev1.LimitRange](ctx, p.c, a.Namespace, nil)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		var errs []error
		for i := range r.Spec.Limits {
			l := &r.Spec.Limits[i]
			switch o := a.Object.(type) {
			case *corev1.Pod:
				errs = append(errs, checkPod(l, o)...)
			case *corev1.PersistentVolumeClaim:
				if l.Type == corev1.LimitTypePersistentVolumeClaim {
					errs = append(errs, bounds{l, o.Spec.Resources.Requests, o.Spec.Resources.Limits}.claim()...)
				}
			}
		}
		if len(errs) > 0 {
			return a.refuse(utilerrors.NewAggregate(errs))
		}
	}
	return nil
}

// defaultContainers fills in what is left out, and tells so in an annotation.
func defaultContainers(pod *corev1.Pod, r *corev1.LimitRange) {
	var set []string
	for i := range r.Spec.Limits {
		l := &r.Spec.Limits[i]
		if l.Type != corev1.LimitTypeContainer {
			continue
		}
		for j := range pod.Spec.Containers {
			set = append(set, defaultContainer(&pod.Spec.Containers[j], l, "container")...)
		}
		for j := range pod.Spec.InitContainers {
			set = append(set, defaultContainer(&pod.Spec.InitContainers[j], l, "init container")...)
		}
	}
	if len(set) == 0 {
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[limitRangerAnnotation] = "LimitRanger plugin set: " + strings.Join(set, "; ")
}

func defaultContainer(c *corev1.Container, l *corev1.LimitRangeItem, kind string) []string {
	var told []string
	fill := func(list *corev1.ResourceList, from corev1.ResourceList, what string) {
		var names []string
		for name, q := range from {
			if _, ok := (*list)[name]; ok {
				continue
			}
			if *list == nil {
				*list = corev1.ResourceList{}
			}
			(*list)[name] = q.DeepCopy()
			names = append(names, string(name))
		}
		if len(names) > 0 {
			slices.Sort(names)
			told = append(told, fmt.Sprintf("%s %s for %s %s", strings.Join(names, ", "), what, kind, c.Name))
		}
	}
	fill(&c.Resources.Requests, l.DefaultRequest, "request")
	fill(&c.Resources.Limits, l.Default, "limit")
	return told
}

func checkPod(l *corev1.LimitRangeItem, pod *corev1.Pod) []error {
	var errs []error
	switch l.Type {
	case corev1.LimitTypeContainer:
		for _, cs := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
			for i := range cs {
				errs = append(errs, bounds{l, cs[i].Resources.Requests, cs[i].Resources.Limits}.compute()...)
			}
		}
	case corev1.LimitTypePod:
		o := resourcehelper.PodResourcesOptions{}
		errs = bounds{l, resourcehelper.PodRequests(pod, o), resourcehelper.PodLimits(pod, o)}.compute()
	}
	return errs
}

// bounds holds what somebody asks for against what a LimitRange says of its type.
type bounds struct {
	l                *corev1.LimitRangeItem
	requests, limits corev1.ResourceList
}

// compute checks minimum, maximum and ratio in the order of names.
func (b bounds) compute() []error {
	var errs []error
	for _, name := range sorted(b.l.Min) {
		errs = appendError(errs, b.min(name, b.l.Min[name]))
	}
	for _, name := range sorted(b.l.Max) {
		errs = appendError(errs, b.max(name, b.l.Max[name]))
	}
	for _, name := range sorted(b.l.MaxLimitRequestRatio) {
		errs = appendError(errs, b.ratio(name, b.l.MaxLimitRequestRatio[name]))
	}
	return errs
}

// claim checks what a claim requests; claims have no limits.
func (b bounds) claim() []error {
	var errs []error
	for _, name := range sorted(b.l.Min) {
		errs = appendError(errs, b.min(name, b.l.Min[name]))
	}
	for _, name := range sorted(b.l.Max) {
		errs = appendError(errs, b.maxRequest(name, b.l.Max[name]))
	}
	return errs
}

func sorted(l corev1.ResourceList) []corev1.ResourceName { return slices.Sorted(maps.Keys(l)) }

func appendError(errs []error, err error) []error {
	if err == nil {
		return errs
	}
	return append(errs, err)
}

func (b bounds) min(name corev1.ResourceName, want resource.Quantity) error {
	req, hasReq := b.requests[name]
	lim, hasLim := b.limits[name]
	switch {
	case !hasReq:
		return fmt.Errorf("minimum %s usage per %s is %s.  No request is specified", name, b.l.Type, want.String())
	case req.Cmp(want) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but request is %s", name, b.l.Type, want.String(), req.String())
	case hasLim && lim.Cmp(want) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but limit is %s", name, b.l.Type, want.String(), lim.String())
	}
	return nil
}

func (b bounds) max(name corev1.ResourceName, want resource.Quantity) error {
	req, hasReq := b.requests[name]
	lim, hasLim := b.limits[name]
	switch {
	case !hasLim:
		return fmt.Errorf("maximum %s usage per %s is %s.  No limit is specified", name, b.l.Type, want.String())
	case lim.Cmp(want) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but limit is %s", name, b.l.Type, want.String(), lim.String())
	case hasReq && req.Cmp(want) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, b.l.Type, want.String(), req.String())
	}
	return nil
}

func (b bounds) maxRequest(name corev1.ResourceName, want resource.Quantity) error {
	req, ok := b.requests[name]
	switch {
	case !ok:
		return fmt.Errorf("maximum %s usage per %s is %s.  No request is specified", name, b.l.Type, want.String())
	case req.Cmp(want) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, b.l.Type, want.String(), req.String())
	}
	return nil
}

func (b bounds) ratio(name corev1.ResourceName, want resource.Quantity) error {
	req, hasReq := b.requests[name]
	lim, hasLim := b.limits[name]
	switch {
	case !hasReq || req.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name, b.l.Type, want.String())
	case !hasLim || lim.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", name, b.l.Type, want.String())
	}
	if have := lim.AsApproximateFloat64() / req.AsApproximateFloat64(); have > want.AsApproximateFloat64() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but provided ratio is %f", name, b.l.Type, want.String(), have)
	}
	return nil
}
