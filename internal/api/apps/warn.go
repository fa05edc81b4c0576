package apps

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/skiff-k8s/skiff/internal/api/core"
)

func warnDaemonSet(next, old *appsv1.DaemonSet) []string {
	if old != nil && old.Generation == next.Generation {
		return nil
	}
	return core.TemplateWarnings("", &next.Spec.Template, specPath.Child("template"))
}

func warnReplicaSet(next, old *appsv1.ReplicaSet) []string {
	if old != nil && old.Generation == next.Generation {
		return nil
	}
	return core.TemplateWarnings(nameIfNew(old == nil, next.Name), &next.Spec.Template, specPath.Child("template"))
}
