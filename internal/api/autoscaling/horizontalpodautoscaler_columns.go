package autoscaling

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const unknown = "<unknown>"

func amount(q *resource.Quantity) string {
	if q == nil {
		return unknown
	}
	return q.String()
}

// targetsText shows what is measured against what is wanted, metric by metric.
func targetsText(o *autoscalingv2.HorizontalPodAutoscaler) string {
	if len(o.Spec.Metrics) == 0 {
		return "<none>"
	}
	const most = 2
	var list []string
	for i := range o.Spec.Metrics {
		if len(list) == most {
			break
		}
		var now *autoscalingv2.MetricStatus
		if i < len(o.Status.CurrentMetrics) {
			now = &o.Status.CurrentMetrics[i]
		}
		list = append(list, targetText(&o.Spec.Metrics[i], now))
	}
	text := strings.Join(list, ", ")
	if n := len(o.Spec.Metrics); n > most {
		text += fmt.Sprintf(" + %d more...", n-most)
	}
	return text
}

func targetText(m *autoscalingv2.MetricSpec, now *autoscalingv2.MetricStatus) string {
	var is autoscalingv2.MetricValueStatus
	switch m.Type {
	case autoscalingv2.ExternalMetricSourceType:
		if now != nil && now.External != nil {
			is = now.External.Current
		}
		if m.External.Target.AverageValue != nil {
			return amount(is.AverageValue) + "/" + amount(m.External.Target.AverageValue) + " (avg)"
		}
		return amount(is.Value) + "/" + amount(m.External.Target.Value)
	case autoscalingv2.PodsMetricSourceType:
		if now != nil && now.Pods != nil {
			is = now.Pods.Current
		}
		return amount(is.AverageValue) + "/" + amount(m.Pods.Target.AverageValue)
	case autoscalingv2.ObjectMetricSourceType:
		if now != nil && now.Object != nil {
			is = now.Object.Current
		}
		if m.Object.Target.AverageValue != nil {
			return amount(is.AverageValue) + "/" + amount(m.Object.Target.AverageValue) + " (avg)"
		}
		return amount(is.Value) + "/" + amount(m.Object.Target.Value)
	case autoscalingv2.ResourceMetricSourceType:
		if now != nil && now.Resource != nil {
			is = now.Resource.Current
		}
		return resourceText(m.Resource.Name, &m.Resource.Target, &is)
	case autoscalingv2.ContainerResourceMetricSourceType:
		if now != nil && now.ContainerResource != nil {
			is = now.ContainerResource.Current
		}
		return resourceText(m.ContainerResource.Name, &m.ContainerResource.Target, &is)
	}
	return "<unknown type>"
}

func resourceText(name corev1.ResourceName, t *autoscalingv2.MetricTarget, is *autoscalingv2.MetricValueStatus) string {
	if t.AverageValue != nil {
		return fmt.Sprintf("%s: %s/%s", name, amount(is.AverageValue), t.AverageValue.String())
	}
	now, want := unknown, "<auto>"
	if is.AverageUtilization != nil {
		now = fmt.Sprintf("%d%%", *is.AverageUtilization)
	}
	if t.AverageUtilization != nil {
		want = fmt.Sprintf("%d%%", *t.AverageUtilization)
	}
	return fmt.Sprintf("%s: %s/%s", name, now, want)
}

func minText(o *autoscalingv2.HorizontalPodAutoscaler) string {
	if o.Spec.MinReplicas == nil {
		return "<unset>"
	}
	return fmt.Sprint(*o.Spec.MinReplicas)
}
