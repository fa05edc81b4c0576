package apps

import (
	"bytes"
	"encoding/json"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// ControllerRevision is all there is about ControllerRevision objects on the server.
var ControllerRevision = api.Kind[appsv1.ControllerRevision]{
	Version: appsv1.SchemeGroupVersion, Resource: "controllerrevisions", Namespaced: true,
	Versions: controllerRevisionVersions,
	List:     &appsv1.ControllerRevisionList{},
	Validate: func(o *appsv1.ControllerRevision) field.ErrorList {
		errs := meta.NonNegative(o.Revision, nil, "revision")
		return append(errs, validateData(o.Data.Raw)...)
	},
	ValidateUpdate: validateRevisionUpdate,
	Columns: api.Columns[appsv1.ControllerRevision]{
		api.NameColumn[appsv1.ControllerRevision](),
		api.Text("Controller", "Controller of the object", func(o *appsv1.ControllerRevision) any { return controllerText(o) }),
		api.Text("Revision", "Revision indicates the revision of the state represented by Data.", func(o *appsv1.ControllerRevision) any { return o.Revision }),
		api.AgeColumn[appsv1.ControllerRevision](),
	},
}

// validateData asks for an object: what is recorded is a patch.
func validateData(raw []byte) field.ErrorList {
	if len(raw) == 0 {
		return field.ErrorList{field.Required(field.NewPath("data"), "data is mandatory")}
	}
	if t := bytes.TrimSpace(raw); len(t) == 0 || t[0] != '{' || !json.Valid(raw) {
		return field.ErrorList{field.Required(field.NewPath("data"), "data must be a valid JSON object")}
	}
	return nil
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
