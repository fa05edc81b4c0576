package autoscaling

import (
	"fmt"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func defaultAutoscaler(o *autoscalingv2.HorizontalPodAutoscaler) {
	s := &o.Spec
	meta.DefaultAt(&s.MinReplicas, 1)
	if len(s.Metrics) == 0 {
		utilization := int32(80)
		s.Metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &utilization}}}}
	}
	if s.Behavior == nil {
		return
	}
	max := autoscalingv2.MaxChangePolicySelect
	if s.Behavior.ScaleUp == nil {
		s.Behavior.ScaleUp = &autoscalingv2.HPAScalingRules{}
	}
	defaultRules(s.Behavior.ScaleUp, max, []autoscalingv2.HPAScalingPolicy{
		{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15}, {Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}})
	meta.DefaultAt(&s.Behavior.ScaleUp.StabilizationWindowSeconds, 0)
	if s.Behavior.ScaleDown == nil {
		s.Behavior.ScaleDown = &autoscalingv2.HPAScalingRules{}
	}
	defaultRules(s.Behavior.ScaleDown, max, []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}})
}

func defaultRules(r *autoscalingv2.HPAScalingRules, sel autoscalingv2.ScalingPolicySelect, policies []autoscalingv2.HPAScalingPolicy) {
	meta.DefaultAt(&r.SelectPolicy, sel)
	if r.Policies == nil {
		r.Policies = policies
	}
}

func validateAutoscaler(o, old *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	if s.MinReplicas != nil && *s.MinReplicas < 1 {
		errs = append(errs, field.Invalid(specPath.Child("minReplicas"), *s.MinReplicas, "must be greater than or equal to 1"))
	}
	if s.MaxReplicas == 0 {
		errs = append(errs, field.Required(specPath.Child("maxReplicas"), "must be set and greater than 0"))
	} else if s.MaxReplicas < 1 {
		errs = append(errs, field.Invalid(specPath.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to 1"))
	}
	if s.MinReplicas != nil && s.MaxReplicas < *s.MinReplicas {
		errs = append(errs, field.Invalid(specPath.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	var was *autoscalingv2.CrossVersionObjectReference
	if old != nil {
		was = &old.Spec.ScaleTargetRef
	}
	errs = append(errs, validateScaleTarget(&s.ScaleTargetRef, was, specPath.Child("scaleTargetRef"))...)
	for i := range s.Metrics {
		errs = append(errs, validateMetric(&s.Metrics[i], specPath.Child("metrics").Index(i))...)
	}
	if b := s.Behavior; b != nil {
		errs = append(errs, validateScaling(b.ScaleUp, specPath.Child("behavior", "scaleUp"))...)
		errs = append(errs, validateScaling(b.ScaleDown, specPath.Child("behavior", "scaleDown"))...)
	}
	return errs
}

func validateAutoscalerStatus(next, _ *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	at := field.NewPath("status")
	errs := meta.NonNegative(next.Status.CurrentReplicas, at, "currentReplicas")
	return append(errs, meta.NonNegative(next.Status.DesiredReplicas, at, "desiredReplicas")...)
}

// validateScaleTarget checks what is scaled. One that was there before may still name no API group, as was once allowed.
func validateScaleTarget(r, old *autoscalingv2.CrossVersionObjectReference, at *field.Path) field.ErrorList {
	errs := validateReference(r, at)
	grouped := r.Kind == "ReplicationController" || old != nil && *old == *r
	if gv, err := schema.ParseGroupVersion(r.APIVersion); err == nil && gv.Group == "" && !grouped {
		errs = append(errs, field.Invalid(at.Child("apiVersion"), r.APIVersion, "apiVersion must specify API group"))
	}
	return errs
}

func validateReference(r *autoscalingv2.CrossVersionObjectReference, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct{ name, value string }{{"kind", r.Kind}, {"name", r.Name}} {
		if f.value == "" {
			errs = append(errs, field.Required(at.Child(f.name), ""))
		} else {
			errs = append(errs, meta.Invalids(at.Child(f.name), f.value, api.NameIsPathSegment(f.value, false))...)
		}
	}
	if _, err := schema.ParseGroupVersion(r.APIVersion); err != nil {
		errs = append(errs, field.Invalid(at.Child("apiVersion"), r.APIVersion, err.Error()))
	}
	return errs
}

var metricTypes = []autoscalingv2.MetricSourceType{autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType, autoscalingv2.ObjectMetricSourceType, autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType}

func validateMetric(m *autoscalingv2.MetricSpec, at *field.Path) field.ErrorList {
	if m.Type == "" {
		return field.ErrorList{field.Required(at.Child("type"), "must specify a metric source type")}
	}
	var errs field.ErrorList
	if !slices.Contains(metricTypes, m.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), m.Type, metricTypes))
	}
	set := map[autoscalingv2.MetricSourceType]string{}
	if m.Object != nil {
		set[autoscalingv2.ObjectMetricSourceType] = "object"
		path := at.Child("object")
		errs = append(errs, validateReference(&m.Object.DescribedObject, path.Child("describedObject"))...)
		errs = append(errs, validateIdentifier(&m.Object.Metric, path.Child("metric"))...)
		errs = append(errs, validateTarget(&m.Object.Target, path.Child("target"))...)
		if m.Object.Target.Value == nil && m.Object.Target.AverageValue == nil {
			errs = append(errs, field.Required(path.Child("target", "averageValue"), "must set either a target value or averageValue"))
		}
	}
	if m.External != nil {
		set[autoscalingv2.ExternalMetricSourceType] = "external"
		path := at.Child("external")
		errs = append(errs, validateIdentifier(&m.External.Metric, path.Child("metric"))...)
		errs = append(errs, validateTarget(&m.External.Target, path.Child("target"))...)
		switch v, a := m.External.Target.Value, m.External.Target.AverageValue; {
		case v == nil && a == nil:
			errs = append(errs, field.Required(path.Child("target", "averageValue"), "must set either a target value for metric or a per-pod target"))
		case v != nil && a != nil:
			errs = append(errs, field.Forbidden(path.Child("target", "value"), "may not set both a target value for metric and a per-pod target"))
		}
	}
	if m.Pods != nil {
		set[autoscalingv2.PodsMetricSourceType] = "pods"
		path := at.Child("pods")
		errs = append(errs, validateIdentifier(&m.Pods.Metric, path.Child("metric"))...)
		errs = append(errs, validateTarget(&m.Pods.Target, path.Child("target"))...)
		if m.Pods.Target.AverageValue == nil {
			errs = append(errs, field.Required(path.Child("target", "averageValue"), "must specify a positive target averageValue"))
		}
	}
	if m.Resource != nil {
		set[autoscalingv2.ResourceMetricSourceType] = "resource"
		errs = append(errs, validateResourceMetric(string(m.Resource.Name), &m.Resource.Target, at.Child("resource"))...)
	}
	if c := m.ContainerResource; c != nil {
		set[autoscalingv2.ContainerResourceMetricSourceType] = "containerResource"
		path := at.Child("containerResource")
		if c.Container == "" {
			errs = append(errs, field.Required(path.Child("container"), "must specify a container"))
		} else {
			errs = append(errs, meta.NameError(path.Child("container"), c.Container, meta.DNSLabel)...)
		}
		errs = append(errs, validateResourceMetric(string(c.Name), &c.Target, path)...)
	}
	if slices.Contains(metricTypes, m.Type) && set[m.Type] == "" {
		name := strings.ToLower(string(m.Type[:1])) + string(m.Type[1:])
		errs = append(errs, field.Required(at.Child(name), "must populate information for the given metric source"))
	}
	known := slices.Contains(metricTypes, m.Type)
	if !known {
		// compat: said twice.
		errs = append(errs, field.NotSupported(at.Child("type"), m.Type, metricTypes))
	}
	for t, name := range set {
		if known && t != m.Type {
			errs = append(errs, field.Forbidden(at.Child(name), fmt.Sprintf("must populate the given metric source only: %s", m.Type)))
		}
	}
	return errs
}

func validateResourceMetric(name string, t *autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(at.Child("name"), "must specify a resource name"))
	}
	errs = append(errs, validateTarget(t, at.Child("target"))...)
	if t.AverageUtilization == nil && t.AverageValue == nil {
		errs = append(errs, field.Required(at.Child("target", "averageUtilization"), "must set either a target raw value or a target utilization"))
	}
	if t.AverageUtilization != nil && t.AverageValue != nil {
		errs = append(errs, field.Forbidden(at.Child("target", "averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

func validateIdentifier(m *autoscalingv2.MetricIdentifier, at *field.Path) field.ErrorList {
	if m.Name == "" {
		return field.ErrorList{field.Required(at.Child("name"), "must specify a metric name")}
	}
	return meta.Invalids(at.Child("name"), m.Name, api.NameIsPathSegment(m.Name, false))
}

func validateTarget(t *autoscalingv2.MetricTarget, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch t.Type {
	case "":
		errs = append(errs, field.Required(at.Child("type"), "must specify a metric target type"))
	case autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType:
	default:
		errs = append(errs, field.Invalid(at.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue"))
	}
	for _, f := range []struct {
		name string
		q    *resource.Quantity
	}{{"value", t.Value}, {"averageValue", t.AverageValue}} {
		if f.q != nil && f.q.Sign() != 1 {
			errs = append(errs, field.Invalid(at.Child(f.name), f.q.String(), "must be positive"))
		}
	}
	if u := t.AverageUtilization; u != nil && *u < 1 {
		errs = append(errs, field.Invalid(at.Child("averageUtilization"), *u, "must be greater than 0"))
	}
	return errs
}

const longest = 1800

func validateScaling(r *autoscalingv2.HPAScalingRules, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	if w := r.StabilizationWindowSeconds; w != nil && *w < 0 {
		errs = append(errs, field.Invalid(at.Child("stabilizationWindowSeconds"), *w, "must be greater than or equal to zero"))
	} else if w != nil && *w > 3600 {
		errs = append(errs, field.Invalid(at.Child("stabilizationWindowSeconds"), *w, "must be less than or equal to 3600"))
	}
	selects := []autoscalingv2.ScalingPolicySelect{autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect}
	if p := r.SelectPolicy; p != nil && !slices.Contains(selects, *p) {
		errs = append(errs, field.NotSupported(at.Child("selectPolicy"), *p, selects))
	}
	if r.Tolerance != nil && r.Tolerance.Sign() < 0 {
		errs = append(errs, field.Invalid(at.Child("tolerance"), r.Tolerance.String(), "must be greater than or equal to 0"))
	}
	if len(r.Policies) == 0 {
		errs = append(errs, field.Required(at.Child("policies"), "must specify at least one Policy"))
	}
	types := []autoscalingv2.HPAScalingPolicyType{autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy}
	for i, p := range r.Policies {
		idx := at.Child("policies").Index(i)
		if !slices.Contains(types, p.Type) {
			errs = append(errs, field.NotSupported(idx.Child("type"), p.Type, types))
		}
		if p.Value <= 0 {
			errs = append(errs, field.Invalid(idx.Child("value"), p.Value, "must be greater than zero"))
		}
		if p.PeriodSeconds <= 0 {
			errs = append(errs, field.Invalid(idx.Child("periodSeconds"), p.PeriodSeconds, "must be greater than zero"))
		} else if p.PeriodSeconds > longest {
			errs = append(errs, field.Invalid(idx.Child("periodSeconds"), p.PeriodSeconds, fmt.Sprintf("must be less than or equal to %d", longest)))
		}
	}
	return errs
}
