package apiserver

import (
	"fmt"
	"net/http"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/apps"
)

// serveRollback is deployments/rollback of the old groups: it notes in the deployment
// which revision its controller is to bring back.
func (s *Server) serveRollback(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	i := -1
	if x.version != nil {
		i = slices.IndexFunc(x.version.Subresources, func(sub api.Subresource) bool { return sub.Name == "rollback" })
	}
	if i < 0 {
		return pathNotFound()
	}
	t, fv, err := x.targetOf(r, res)
	if err != nil {
		return err
	}
	// The two groups have one form of it.
	var rb extensionsv1beta1.DeploymentRollback
	if err := s.readObject(r, x, x.version.Subresources[i].Kind, &rb, fv); err != nil {
		return err
	}
	if errs := apps.ValidateRollback(&rb); len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "DeploymentRollback"}, rb.Name, errs)
	}
	if rb.Name != x.name {
		return apierrors.NewBadRequest("name in URL does not match name in DeploymentRollback object")
	}
	t.sub = ""
	_, err = s.update(r.Context(), t, "", func(old api.Object) (api.Object, error) {
		d := old.DeepCopyObject().(*appsv1.Deployment)
		apps.RollBack(d, &rb)
		d.ResourceVersion = ""
		return d, nil
	})
	if err != nil {
		return err
	}
	// compat: created, says the answer's head; its body says 200.
	s.writeObject(w, r, x, http.StatusCreated, &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status: metav1.StatusSuccess, Message: fmt.Sprintf("rollback request for deployment %q succeeded", rb.Name), Code: http.StatusOK})
	return nil
}
