package apps

import (
	"github.com/skiff-k8s/skiff/internal/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"strings"

	"bytes"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ControllerRevision is all there is about ControllerRevision objects on the server.
var ControllerRevision = api.Kind[appsv1.ControllerRevision]{
	Version: appsv1.SchemeGroupVersion, Resource: "controllerrevisions", Namespaced: true,
	Versions: controllerRevisionVersions,
	List:     &appsv1.ControllerRevisionList{},
	Validate: func(o *appsv1.ControllerRevision) field.ErrorList {
		errs := meta.NonNegative(o.Revision, nil, "revision")
		if len(o.Data.Raw) == 0 {
			errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
		}
		return errs
	},
	ValidateUpdate: validateRevisionUpdate,
	Columns: api.Columns[appsv1.ControllerRevision]{
		api.NameColumn[appsv1.ControllerRevision](),
		api.Text("Controller", "Controller of the object", func(o *appsv1.ControllerRevision) any { return controllerText(o) }),
		api.Text("Revision", "Revision indicates the revision of the state represented by Data.", func(o *appsv1.ControllerRevision) any { return o.Revision }),
		api.AgeColumn[appsv1.ControllerRevision](),
	},
}

// validateRevisionUpdate keeps the recorded state: a revision is history.
func validateRevisionUpdate(next, old *appsv1.ControllerRevision) field.ErrorList {
	errs := meta.NonNegative(next.Revision, nil, "revision")
	if !bytes.Equal(next.Data.Raw, old.Data.Raw) {
		errs = append(errs, field.Invalid(field.NewPath("data"), string(next.Data.Raw), meta.FieldImmutable))
	}
	return errs
}

func controllerText(o *appsv1.ControllerRevision) string {
	c := metav1.GetControllerOfNoCopy(o)
	if c == nil {
		return "<none>"
	}
	gv, err := schema.ParseGroupVersion(c.APIVersion)
	if err != nil {
		return "<none>"
	}
	name := strings.ToLower(c.Kind)
	if gv.Group != "" {
		name += "." + gv.Group
	}
	return name + "/" + c.Name
}
