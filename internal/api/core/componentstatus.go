package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ComponentStatus is all there is about ComponentStatus objects on the server:
// they are made when somebody looks.
var ComponentStatus = api.Kind[corev1.ComponentStatus]{
	Version: corev1.SchemeGroupVersion, Resource: "componentstatuses", Short: []string{"cs"},
	List: &corev1.ComponentStatusList{}, Virtual: true, Verbs: []string{"get", "list"},
	Deprecated: "v1 ComponentStatus is deprecated in v1.19+",
	Columns: api.Columns[corev1.ComponentStatus]{
		api.NameColumn[corev1.ComponentStatus](),
		api.Text("Status", "Status of the component conditions", func(c *corev1.ComponentStatus) any {
			for _, cond := range c.Conditions {
				if cond.Type != corev1.ComponentHealthy {
					continue
				}
				if cond.Status == corev1.ConditionTrue {
					return "Healthy"
				}
				return "Unhealthy"
			}
			return "Unknown"
		}),
		api.Text("Message", "Message of the component conditions", func(c *corev1.ComponentStatus) any {
			return healthTexts(c, func(cond corev1.ComponentCondition) string { return cond.Message })
		}),
		api.Text("Error", "Error of the component conditions", func(c *corev1.ComponentStatus) any {
			return healthTexts(c, func(cond corev1.ComponentCondition) string { return cond.Error })
		}),
	},
}

func healthTexts(c *corev1.ComponentStatus, text func(corev1.ComponentCondition) string) string {
	var out []string
	for _, cond := range c.Conditions {
		if cond.Type == corev1.ComponentHealthy && text(cond) != "" {
			out = append(out, text(cond))
		}
	}
	return strings.Join(out, ",")
}
