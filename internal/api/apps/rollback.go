package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// rollbackIn is the subresource of the two groups that had it: a request to bring back an earlier pod template.
func rollbackIn(gv schema.GroupVersion) []api.Subresource {
	return []api.Subresource{{Name: "rollback", Kind: gv.WithKind("DeploymentRollback"), Verbs: []string{"create"}}}
}

var (
	rollbackExtensions = rollbackIn(extensionsv1beta1.SchemeGroupVersion)
	rollbackV1beta1    = rollbackIn(appsv1beta1.SchemeGroupVersion)
)

// ValidateRollback returns what is wrong with a request to roll back.
func ValidateRollback(r *extensionsv1beta1.DeploymentRollback) field.ErrorList {
	errs := validation.ValidateAnnotations(r.UpdatedAnnotations, field.NewPath("updatedAnnotations"))
	if r.Name == "" {
		errs = append(errs, field.Required(field.NewPath("name"), "name is required"))
	}
	return append(errs, meta.NonNegative(r.RollbackTo.Revision, field.NewPath("rollback"), "version")...)
}

// RollBack notes in a deployment what its controller is to bring back; revision 0 is the last one.
func RollBack(d *appsv1.Deployment, r *extensionsv1beta1.DeploymentRollback) {
	annotations := map[string]string{}
	for _, from := range []map[string]string{d.Annotations, r.UpdatedAnnotations} {
		for k, v := range from {
			annotations[k] = v
		}
	}
	d.Annotations = annotations
	annotate(&d.ObjectMeta, annotationRollback, r.RollbackTo.Revision)
}
