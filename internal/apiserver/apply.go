package apiserver

import (
	"context"
	"errors"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	libmanagedfields "k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/apiserver/managedfields"
)

// apply merges the applied configuration into the object, which comes to be if
// it is not there; created tells which.
func (s *Server) apply(ctx context.Context, t target, data []byte, force bool, fv fieldValidation) (e *entry, created bool, err error) {
	config, err := s.appliedConfiguration(&t, data, fv)
	if err != nil {
		return nil, false, err
	}
	if t.sub == "scale" {
		e, err = s.applyScale(ctx, t, config, force)
		return e, false, err
	}
	t.applied = true
	k, err := s.kindFor(t.res, t.sub)
	if err != nil {
		return nil, false, err
	}
	k.Version, k.Versions = t.version, t.res.Versions
	w := managedfields.Write{Manager: t.manager, APIVersion: t.gvk().GroupVersion().String(), Subresource: t.sub, Knows: func(v string) bool { return hasVersion(t.res, v) }}
	for range attempts {
		if s.cache(t.res).get(t.key()) != nil || t.sub != "" {
			e, err := s.update(ctx, t, "", func(old api.Object) (api.Object, error) {
				return s.applied(&t, old, config, k, w, force)
			})
			return e, false, err
		}
		if uid := config.GetUID(); uid != "" {
			return nil, false, apierrors.NewConflict(t.groupResource(), t.name, fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", uid))
		}
		next, err := s.applied(&t, nil, config, k, w, force)
		if err != nil {
			return nil, false, err
		}
		next.SetResourceVersion("")
		e, err := s.create(ctx, t, next)
		if apierrors.IsAlreadyExists(err) {
			continue
		}
		return e, true, err
	}
	return nil, false, s.tooBusy(t)
}

// applied is the object as it is after the configuration was merged into old.
func (s *Server) applied(t *target, old api.Object, config *unstructured.Unstructured, k managedfields.Kind, w managedfields.Write, force bool) (api.Object, error) {
	live := runtime.Object(old)
	if old == nil {
		empty := t.res.New()
		empty.GetObjectKind().SetGroupVersionKind(t.res.GVK)
		live = empty
	}
	out, err := s.appliers.Apply(live, config, k, w, force)
	if err != nil {
		return nil, applyError(err)
	}
	next := out.(api.Object)
	if rv := config.GetResourceVersion(); rv == "" {
		next.SetResourceVersion("")
	} else {
		next.SetResourceVersion(rv)
	}
	return next, nil
}

// applyError gives what went wrong the status that Kubernetes gives it.
func applyError(err error) error {
	var carried apierrors.APIStatus
	if errors.As(err, &carried) {
		return err
	}
	// compat: a configuration that does not fit the schema is a server error without a reason.
	return wrong(err)
}

// kindFor tells the field manager about a kind and what its subresource may not set.
func (s *Server) kindFor(r *api.Resource, sub string) (managedfields.Kind, error) {
	k := managedfields.Kind{GVK: r.GVK, New: func() runtime.Object { return r.New() }}
	if r.Default != nil {
		k.Default = func(o runtime.Object) { r.Default(o.(api.Object)) }
	}
	k.Ignored = ignored(r, sub)
	if r.Custom == nil {
		return k, nil
	}
	c := s.cache(r)
	if c == nil {
		return k, pathNotFound()
	}
	t, err := c.types.of(r)
	if err != nil {
		return k, apierrors.NewInternalError(err)
	}
	k.Type, k.ID = &t, r
	return k, nil
}

// appliedConfiguration reads the body of an apply.
func (s *Server) appliedConfiguration(t *target, data []byte, fv fieldValidation) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := checkAliases(data); err != nil {
		return nil, err
	}
	j, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		lax, laxErr := yaml.YAMLToJSON(data)
		if laxErr != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: error converting YAML to JSON: %v", laxErr))
		}
		if fv == strictFields {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error strict decoding YAML: error converting YAML to JSON: %v", err))
		}
		if fv == warnFields {
			for _, text := range yamlWarnings(err.Error()) {
				t.warn(text)
			}
		}
		j = lax
	}
	if t.res.Type != nil {
		if err := checkQuantities(j, t.newObject()); err != nil {
			return nil, err
		}
	}
	if err := unmarshalUnstructured(j, u); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: error unmarshaling JSON: while decoding JSON: %v", err))
	}
	want := t.gvk()
	if t.sub == "scale" {
		want = scaleKind
		if form := t.scaleForm(); form != nil {
			want = form.Kind
		}
	}
	if have := u.GroupVersionKind(); have != want {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid object type: %v", have))
	}
	if u.GetManagedFields() != nil {
		return nil, apierrors.NewBadRequest("metadata.managedFields must be nil")
	}
	// What is applied stays as it is: nobody is told of a name or a namespace that was not given.
	if ns := u.GetNamespace(); t.res.Namespaced && ns != "" && ns != t.ns {
		return nil, apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	_, named, _ := unstructured.NestedFieldNoCopy(u.Object, "metadata", "name")
	if named || s.cache(t.res).get(t.key()) == nil { // an object that is there has its name already
		if err := matchName(u.GetName(), t.name); err != nil {
			return nil, err
		}
	}
	if t.sub == "scale" {
		// What may be applied, the number of replicas, stands at the same place in every form.
		u.SetGroupVersionKind(scaleKind)
		unstructured.RemoveNestedField(u.Object, "status")
		return u, nil
	}
	return u, nil
}

// applyScale applies to the scale subresource: what is owned there is the number of replicas of the object.
func (s *Server) applyScale(ctx context.Context, t target, config *unstructured.Unstructured, force bool) (*entry, error) {
	replicas := fieldpath.MakePathOrDie("spec", "replicas")
	mappings := libmanagedfields.ResourcePathMappings{t.res.GVK.GroupVersion().String(): replicas}
	for _, v := range t.res.Versions {
		mappings[v.GVK.GroupVersion().String()] = replicas
	}
	k := managedfields.Kind{GVK: scaleKind, New: func() runtime.Object { return &autoscalingv1.Scale{} }, Ignored: []string{"status"}}
	t.applied = true
	var entries []metav1.ManagedFieldsEntry
	t.adjust = func(next api.Object) { next.SetManagedFields(entries) }
	return s.updateScale(ctx, t, "", func(have *scaleObject) error {
		old := s.cache(t.res).get(t.key())
		if old == nil {
			return t.notFound()
		}
		h := libmanagedfields.NewScaleHandler(old.object().GetManagedFields(), t.gvk().GroupVersion(), mappings)
		var err error
		if have.ManagedFields, err = h.ToSubresource(); err != nil {
			return apierrors.NewInternalError(err)
		}
		w := managedfields.Write{Manager: t.manager, APIVersion: scaleKind.GroupVersion().String(), Subresource: "scale"}
		out, err := s.appliers.Apply(&have.Scale, config, k, w, force)
		if err != nil {
			return applyError(err)
		}
		have.Scale = *out.(*autoscalingv1.Scale)
		if entries, err = h.ToParent(have.ManagedFields); err != nil {
			return apierrors.NewInternalError(err)
		}
		have.ManagedFields = nil
		return nil
	})
}

// isApply tells apply patches from the others.
func isApply(media string) bool {
	return media == string(types.ApplyYAMLPatchType) || media == string(types.ApplyCBORPatchType)
}
