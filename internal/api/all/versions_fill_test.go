package all

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/randfill"
)

// fillMetric makes a metric with the target that its kind of source has: the others are never stored.
func fillMetric(m *autoscalingv2.MetricSpec, c randfill.Continue) {
	c.FillNoCustom(m)
	q, u := resource.MustParse("2"), int32(c.Intn(100))
	value := autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: &q}
	average := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &q}
	used := autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &u}
	either := func(a, b autoscalingv2.MetricTarget) autoscalingv2.MetricTarget {
		if c.Bool() {
			return a
		}
		return b
	}
	if m.Object != nil {
		m.Object.Target = either(value, average)
	}
	if m.Pods != nil {
		m.Pods.Target = average
	}
	if m.Resource != nil {
		m.Resource.Target = either(used, average)
	}
	if m.ContainerResource != nil {
		m.ContainerResource.Target = either(used, average)
	}
	if m.External != nil {
		m.External.Target = either(value, average)
	}
}

// fillCurrent makes a metric's present value with what the controller always tells.
func fillCurrent(m *autoscalingv2.MetricStatus, c randfill.Continue) {
	c.FillNoCustom(m)
	q, u := resource.MustParse("3"), int32(c.Intn(100))
	average := autoscalingv2.MetricValueStatus{AverageValue: &q}
	used := autoscalingv2.MetricValueStatus{AverageValue: &q, AverageUtilization: &u}
	value := autoscalingv2.MetricValueStatus{Value: &q}
	if m.Object != nil {
		m.Object.Current = value
	}
	if m.Pods != nil {
		m.Pods.Current = average
	}
	if m.Resource != nil {
		m.Resource.Current = used
	}
	if m.ContainerResource != nil {
		m.ContainerResource.Current = used
	}
	if m.External != nil {
		m.External.Current = value
	}
}

// fillSlice makes a slice of devices; that of all nodes says so, no other does.
func fillSlice(s *resourcev1.ResourceSliceSpec, c randfill.Continue) {
	c.FillNoCustom(s)
	if s.AllNodes != nil && !*s.AllNodes {
		s.AllNodes = nil
	}
	if s.NodeName != nil && *s.NodeName == "" {
		s.NodeName = nil
	}
}
