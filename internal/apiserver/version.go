package apiserver

import (
	"fmt"
	"net/http"
	"reflect"

	policyv1beta1 "k8s.io/api/policy/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
)

// version finds a version that is served beside the stored one.
func (s *Server) version(gvr schema.GroupVersionResource) *api.Version {
	if v := all.VersionByGVR(gvr); v != nil && s.serves(v) {
		return v
	}
	return nil
}

func (s *Server) serves(v *api.Version) bool { return v.Current || !s.NoOldVersions }

// decodeVersion reads a body of another version into the stored form.
func decodeVersion(v *api.Version, media string, b []byte, into any, fv fieldValidation, warn func(string)) error {
	o := v.New()
	if err := decodeBody(media, b, v.GVK, o, fv, warn); err != nil {
		return err
	}
	stored, err := v.Read(o)
	if err != nil {
		return cannotBeHandled(v.GVK, err)
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(stored).Elem())
	return nil
}

// evicts tells that a body is an eviction of policy/v1beta1, which has the fields of
// the present one and is taken in its place.
func evicts(want schema.GroupVersionKind, media string, b []byte) bool {
	if want.Kind != "Eviction" {
		return false
	}
	var have schema.GroupVersionKind
	var err error
	switch media {
	case mediaProtobuf:
		have, _, err = open(b)
	case mediaYAML:
		if b, err = yaml.YAMLToJSON(b); err == nil {
			have, err = kindOf(b)
		}
	case mediaJSON:
		have, err = kindOf(b)
	}
	return err == nil && have == policyv1beta1.SchemeGroupVersion.WithKind("Eviction")
}

func (t *target) gvk() schema.GroupVersionKind {
	if t.version != nil {
		return t.version.GVK
	}
	return t.res.GVK
}

// named calls an object that is not there by the group that the request names.
func (x *exchange) named(err error) error {
	if x.version != nil && apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(x.gvr().GroupResource(), x.name)
	}
	return err
}

// renameFields turns the names of a field selector, which are those of the version, into the stored ones.
func (x *exchange) renameFields(r *http.Request) error {
	q := r.URL.Query()
	text := q.Get("fieldSelector")
	if len(x.version.Fields) == 0 || text == "" {
		return nil
	}
	sel, err := fields.ParseSelector(text)
	if err != nil {
		return nil // whoever reads it next says so
	}
	sel, err = sel.Transform(func(name, value string) (string, string, error) {
		if is, ok := x.version.Fields[name]; ok {
			return is, value, nil
		}
		return "", "", fmt.Errorf("field label not supported: %s", name)
	})
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	q.Set("fieldSelector", sel.String())
	u := *r.URL
	u.RawQuery = q.Encode()
	r.URL = &u
	return nil
}

// scaleForm is the old form of scales that the request speaks; nil: the present one.
func (t *target) scaleForm() *api.ScaleForm {
	if t.version == nil {
		return nil
	}
	return t.version.Scale
}

// orphans tells that dependents stay when nobody says what becomes of them.
func (t *target) orphans() bool {
	return t.res.Orphans || t.version != nil && t.version.Orphans
}

// groupResource is what errors call the resource: by the group that the request names.
func (t *target) groupResource() schema.GroupResource {
	if t.version != nil {
		return t.version.GVR.GroupResource()
	}
	return t.res.GroupResource()
}

// groupKind names the kind in errors of validation.
//
// compat: what is validated is the stored form, whatever the request speaks.
func (t *target) groupKind() schema.GroupKind { return t.res.GVK.GroupKind() }

// newObject is an empty object in the version of the request.
func (t *target) newObject() api.Object {
	if t.version != nil {
		return t.version.New()
	}
	return t.res.New()
}

// shownJSON is a stored object in the version of the request.
func (t *target) shownJSON(o api.Object) ([]byte, error) {
	if t.version != nil {
		var err error
		if o, err = t.version.Show(o); err != nil {
			return nil, err
		}
	}
	return marshalJSON(o)
}

// read turns an object in the version of the request into the stored form.
func (t *target) read(o api.Object) (api.Object, error) {
	if t.version == nil {
		return o, nil
	}
	return t.version.Read(o)
}

// showRows puts into a table that carries whole objects those of the request's version.
func (x *exchange) showRows(t *metav1.Table, entries []*entry, include metav1.IncludeObjectPolicy) error {
	if x.version == nil || include != metav1.IncludeObject {
		return nil
	}
	for i, e := range entries {
		o, err := x.version.Show(e.object())
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		if t.Rows[i].Object.Raw, err = marshalJSON(o); err != nil {
			return err
		}
	}
	return nil
}

// writeVersionList answers with a list in another version.
func (s *Server) writeVersionList(w http.ResponseWriter, r *http.Request, x *exchange, meta metav1.ListMeta, entries []*entry) error {
	v := x.version
	items := make([]runtime.Object, len(entries))
	for i, e := range entries {
		o, err := v.Show(e.object())
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		items[i] = o
	}
	list := v.NewList()
	if err := apimeta.SetList(list, items); err != nil {
		return apierrors.NewInternalError(err)
	}
	gvk := v.GVK
	gvk.Kind += "List"
	list.GetObjectKind().SetGroupVersionKind(gvk)
	if m, err := apimeta.ListAccessor(list); err == nil {
		m.SetResourceVersion(meta.ResourceVersion)
		m.SetContinue(meta.Continue)
		m.SetRemainingItemCount(meta.RemainingItemCount)
	}
	s.writeObject(w, r, x, http.StatusOK, list)
	return nil
}
