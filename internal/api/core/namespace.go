package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Namespace is all there is about Namespaces on the server.
var Namespace = api.Kind[corev1.Namespace]{
	Version: corev1.SchemeGroupVersion, Resource: "namespaces", Short: []string{"ns"},
	List:   &corev1.NamespaceList{},
	Status: api.StatusOf(func(o *corev1.Namespace) *corev1.NamespaceStatus { return &o.Status }).WithValidate(validateNamespaceStatus),
	Verbs:  []string{"create", "delete", "get", "list", "patch", "update", "watch"},
	Name:   api.NameIsDNSLabel,
	Subresources: []api.Subresource{
		{Name: "finalize", Kind: coreKind("Namespace"), Verbs: []string{"update"}, Validate: validateFinalize},
	},
	Default: defaultNamespace,
	Prepare: prepareNamespace,
	PrepareUpdate: func(next, old *corev1.Namespace) {
		next.Spec.Finalizers = old.Spec.Finalizers
	},
	Validate:       validateNamespace,
	ValidateUpdate: func(next, _ *corev1.Namespace) field.ErrorList { return validateNamespace(next) },
	Columns: api.Columns[corev1.Namespace]{
		api.NameColumn[corev1.Namespace](),
		api.Text("Status", "The status of the namespace", func(o *corev1.Namespace) any { return string(o.Status.Phase) }),
		api.AgeColumn[corev1.Namespace](),
	},
	Fields: map[string]func(*corev1.Namespace) string{
		"status.phase": func(o *corev1.Namespace) string { return string(o.Status.Phase) },
	},
}

// defaultNamespace labels the namespace with its own name, so that selectors can find it by name.
func defaultNamespace(o *corev1.Namespace) {
	if o.Name == "" || o.Labels[corev1.LabelMetadataName] == o.Name {
		return
	}
	labels := make(map[string]string, len(o.Labels)+1)
	for k, v := range o.Labels {
		labels[k] = v
	}
	labels[corev1.LabelMetadataName] = o.Name
	o.Labels = labels
}

// prepareNamespace holds the namespace until its contents are gone.
func prepareNamespace(o *corev1.Namespace) {
	o.Status.Phase = corev1.NamespaceActive
	for _, f := range o.Spec.Finalizers {
		if f == corev1.FinalizerKubernetes {
			return
		}
	}
	o.Spec.Finalizers = append(o.Spec.Finalizers, corev1.FinalizerKubernetes)
}

// validateFinalize is validateNamespace for the subresource. compat: it tells which finalizer is wrong.
func validateFinalize(next, _ api.Object) field.ErrorList {
	var errs field.ErrorList
	for i, f := range next.(*corev1.Namespace).Spec.Finalizers {
		errs = append(errs, validateFinalizer(string(f), field.NewPath("spec", "finalizers").Index(i))...)
	}
	return errs
}

func validateNamespace(o *corev1.Namespace) field.ErrorList {
	var errs field.ErrorList
	for _, f := range o.Spec.Finalizers {
		errs = append(errs, validateFinalizer(string(f), field.NewPath("spec", "finalizers"))...)
	}
	return errs
}
