package apiserver

import (
	"context"
	"fmt"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
)

// scaleObject is the scale subresource of an object.
type scaleObject struct{ autoscalingv1.Scale }

var scaleKind = autoscalingv1.SchemeGroupVersion.WithKind("Scale")

func scaleOf(r *api.Resource, o api.Object) *scaleObject {
	return &scaleObject{autoscalingv1.Scale{
		TypeMeta: metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"},
		ObjectMeta: metav1.ObjectMeta{Name: o.GetName(), Namespace: o.GetNamespace(), UID: o.GetUID(),
			ResourceVersion: o.GetResourceVersion(), CreationTimestamp: o.GetCreationTimestamp()},
		Spec:   autoscalingv1.ScaleSpec{Replicas: r.Scale.Replicas(o)},
		Status: autoscalingv1.ScaleStatus{Replicas: r.Scale.Observed(o), Selector: r.Scale.Selector(o)},
	}}
}

// scaleTable is how kubectl get --subresource=scale shows it.
func scaleTable(sc *autoscalingv1.Scale, form accepted, include metav1.IncludeObjectPolicy) (*metav1.Table, error) {
	row := metav1.TableRow{Cells: []any{sc.Name, int64(sc.Spec.Replicas), int64(sc.Status.Replicas), api.Age(sc.CreationTimestamp)}}
	var err error
	switch include {
	case metav1.IncludeNone:
		row.Object.Raw = []byte("null")
	case metav1.IncludeObject:
		row.Object.Raw, err = marshalJSON(sc)
	default:
		row.Object.Raw, err = marshalJSON(partialOfScale(sc, form))
	}
	meta := metav1.ObjectMeta{}.SwaggerDoc()
	return &metav1.Table{
		TypeMeta: metav1.TypeMeta{APIVersion: form.group(), Kind: "Table"},
		ListMeta: metav1.ListMeta{ResourceVersion: sc.ResourceVersion},
		ColumnDefinitions: []metav1.TableColumnDefinition{
			{Name: "Name", Type: "string", Format: "name", Description: meta["name"]},
			{Name: "Desired", Type: "integer", Description: autoscalingv1.ScaleSpec{}.SwaggerDoc()["replicas"]},
			{Name: "Available", Type: "integer", Description: autoscalingv1.ScaleStatus{}.SwaggerDoc()["replicas"]},
			{Name: "Age", Type: "string", Description: meta["creationTimestamp"]},
		},
		Rows: []metav1.TableRow{row},
	}, err
}

func partialOfScale(sc *autoscalingv1.Scale, form accepted) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: form.group(), Kind: "PartialObjectMetadata"},
		ObjectMeta: sc.ObjectMeta,
	}
}

// writeScale answers with the scale of an object, in the form that was asked for.
func (s *Server) writeScale(w http.ResponseWriter, r *http.Request, x *exchange, code int, e *entry) {
	sc := &scaleOf(e.res, e.object()).Scale
	switch x.accept.as {
	case "Table":
		t, err := scaleTable(sc, x.accept, includeObject(r))
		if err != nil {
			s.writeError(w, r, x, err)
			return
		}
		s.writeObject(w, r, x, code, t)
	case "PartialObjectMetadata":
		s.writeObject(w, r, x, code, partialOfScale(sc, x.accept))
	default:
		if v := x.version; v != nil && v.Scale != nil {
			s.writeObject(w, r, x, code, v.Scale.Show(sc))
			return
		}
		s.writeObject(w, r, x, code, sc)
	}
}

// patch applies a patch to the scale in its old form, if there is one, or else in the present one. repeated is what
// is wrong with the patch for the strict.
func (s *scaleObject) patch(t *target, pt types.PatchType, apply func([]byte) ([]byte, error), repeated []error, fv fieldValidation) error {
	form := t.scaleForm()
	var shown any = &s.Scale
	if form != nil {
		shown = form.Show(&s.Scale)
	}
	before, err := marshalJSON(shown)
	if err != nil {
		return err
	}
	after, err := apply(before)
	if err != nil {
		return err
	}
	var next runtime.Object = &autoscalingv1.Scale{}
	if form != nil {
		next = form.New()
	}
	strict, err := kjson.UnmarshalStrict(after, next)
	if have, want := next.GetObjectKind().GroupVersionKind(), s.GroupVersionKind(); err == nil && form == nil && pt != types.StrategicMergePatchType && have != want && !(have.Kind == "" && have.GroupVersion() == want.GroupVersion()) {
		err = fmt.Errorf("no kind %q is registered for version %q in scheme %q", have.Kind, have.GroupVersion(), "pkg/api/legacyscheme/scheme.go:30")
	}
	if err == nil {
		err = strictly(append(repeated[:len(repeated):len(repeated)], strict...), fv, t.warn)
	}
	if err != nil {
		return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), string(after), err.Error())})
	}
	if form != nil {
		s.Scale = *form.Read(next)
	} else {
		s.Scale = *next.(*autoscalingv1.Scale)
	}
	return nil
}

// readScale reads the scale that a request carries.
func (s *Server) readScale(r *http.Request, x *exchange, fv fieldValidation) (*autoscalingv1.Scale, error) {
	if v := x.version; v != nil && v.Scale != nil {
		o := v.Scale.New()
		if err := s.readObject(r, x, v.Scale.Kind, o, fv); err != nil {
			return nil, err
		}
		return v.Scale.Read(o), nil
	}
	var sc autoscalingv1.Scale
	if err := s.readObject(r, x, scaleKind, &sc, fv); err != nil {
		return nil, err
	}
	return &sc, nil
}

// updateScale changes the number of replicas through the scale subresource.
func (s *Server) updateScale(ctx context.Context, t target, uid types.UID, change func(*scaleObject) error) (*entry, error) {
	sub := t
	sub.sub, sub.via = "", "scale" // the write itself is one of the main resource: it moves the generation
	return s.update(ctx, sub, uid, func(old api.Object) (api.Object, error) {
		sc := scaleOf(t.res, old)
		was := sc.ResourceVersion
		if err := change(sc); err != nil {
			return nil, err
		}
		if err := matchName(sc.Name, old.GetName()); err != nil {
			return nil, err
		}
		if sc.UID != "" && t.res.Custom == nil && sc.UID != old.GetUID() {
			return nil, uidConflict(&sub, sc.UID, old.GetUID())
		}
		if sc.Spec.Replicas < 0 {
			return nil, apierrors.NewInvalid(scaleKind.GroupKind(), t.name, field.ErrorList{
				field.Invalid(field.NewPath("spec", "replicas"), sc.Spec.Replicas, "must be greater than or equal to 0").WithOrigin("minimum")})
		}
		if unset := t.res.Scale.Unset; unset != nil && sc.Spec.Replicas == 0 {
			if err := unset(old); err != nil {
				return nil, err
			}
		}
		next := old.DeepCopyObject().(api.Object)
		t.res.Scale.SetReplicas(next, sc.Spec.Replicas)
		next.SetResourceVersion(sc.ResourceVersion)
		if sc.ResourceVersion == was {
			next.SetResourceVersion("")
		}
		return next, nil
	})
}
