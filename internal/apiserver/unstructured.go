package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/skiff-k8s/skiff/internal/api"
	definitions "github.com/skiff-k8s/skiff/internal/api/schema"
	"github.com/skiff-k8s/skiff/internal/apiserver/managedfields"
	"github.com/skiff-k8s/skiff/internal/store"
)

// What differs for objects without a Go type is here: how they are read from requests,
// and how server-side apply knows their fields.

// decodeCustom reads an object of a custom kind from a body.
func decodeCustom(r *api.Resource, media string, b []byte, into *unstructured.Unstructured, fv fieldValidation, warn func(string)) error {
	if media == mediaProtobuf {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
			Message: fmt.Sprintf("the body of the request was in an unknown format - accepted media types include: %s, %s, %s", mediaJSON, mediaYAML, mediaCBOR)}}
	}
	j, strict, err := jsonBody(media, b, r.GVK)
	if err != nil {
		return err
	}
	have, err := kindOf(j)
	if err == nil && have.Kind == "" {
		err = fmt.Errorf("Object 'Kind' is missing in '%s'", b)
	}
	if err != nil {
		return unrecognized(r.GVK, err, b)
	}
	if have.GroupVersion() != r.GVK.GroupVersion() {
		return wrongVersion(have, r.GVK)
	}
	if have.Kind != r.GVK.Kind {
		var of metav1.PartialObjectMetadata
		json.Unmarshal(j, &of) // what has no name is called by none
		return apierrors.NewInvalid(have.GroupKind(), of.Name, field.ErrorList{field.Invalid(field.NewPath("kind"), have.Kind, "must be "+r.GVK.Kind)})
	}
	if strict, err = readCustom(r, j, into, strict); err != nil {
		return err
	}
	return judge(strict, r.GVK, fv, warn)
}

// checkCustomKind accepts what is left out, as checkKind does. What is said is never an unknown kind.
func checkCustomKind(have, want schema.GroupVersionKind) error {
	return checkKindOf(have, want, func(schema.GroupVersionKind) bool { return true })
}

// readCustom reads an object of a custom kind from JSON. It adds to strict, what was found wrong with it before.
func readCustom(r *api.Resource, j []byte, into *unstructured.Unstructured, strict []error) ([]error, error) {
	more, err := unmarshalStrict(j, into)
	if err != nil {
		return nil, cannotBeHandled(r.GVK, err)
	}
	into.SetGroupVersionKind(r.GVK)
	unknown, err := r.Custom.Read(into)
	if err != nil {
		return nil, cannotBeHandled(r.GVK, err)
	}
	strict = append(strict, more...)
	for _, path := range unknown {
		strict = append(strict, fmt.Errorf("unknown field %q", path))
	}
	return strict, nil
}

// customType is a custom kind as structured-merge-diff reads it.
func customType(r *api.Resource) (typed.ParseableType, error) {
	raw := map[string][]byte{}
	if err := customSchemas(r, raw); err != nil {
		return typed.ParseableType{}, err
	}
	model := customModel(r.GVK)
	var s spec.Schema
	if err := s.UnmarshalJSON(raw[model]); err != nil {
		return typed.ParseableType{}, err
	}
	types, err := schemaconv.ToSchemaFromOpenAPI(map[string]*spec.Schema{model: &s}, r.Custom.Loose)
	if err != nil {
		return typed.ParseableType{}, err
	}
	metadata := definitions.Parseable(reflect.TypeFor[metav1.PartialObjectMetadata]())
	types.Types = append(types.Types, metadata.Schema.Types...)
	return typed.ParseableType{Schema: types, TypeRef: smd.TypeRef{NamedType: &model}}, nil
}

// typesOf keeps what customType found.
type typesOf struct {
	once sync.Once
	t    typed.ParseableType
	err  error
}

func (t *typesOf) of(r *api.Resource) (typed.ParseableType, error) {
	t.once.Do(func() { t.t, t.err = customType(r) })
	return t.t, t.err
}

// trackCustom notes in next's managedFields what a write changes.
func (s *Server) trackCustom(r *api.Resource, next *unstructured.Unstructured, old api.Object, w managedfields.Write) {
	c := s.cache(r)
	if c == nil {
		return // the kind is gone, and the write fails
	}
	was, _ := old.(*unstructured.Unstructured)
	t, err := c.types.of(r)
	if err == nil {
		err = managedfields.UpdateUnstructured(next, was, w, t)
	}
	if err != nil {
		// compat: what does not fit its schema is not accounted for; validation tells the client.
		s.Log.Debug("fields are not tracked", "kind", r.GVK.Kind, "name", next.GetName(), "err", err)
	}
}

// pinDefinition makes a new object wait for its definition: none is made when that is being deleted.
func (s *Server) pinDefinition(t *target) (store.Compare, error) {
	row := definitionRow()
	e := s.cache(row).get(row.Key("", t.res.Custom.Definition))
	// The rest of the write looks at the kind that the request came for; one that was defined anew
	// meanwhile may have another scope, other versions, another schema.
	if e == nil || e.object().GetUID() != t.res.Custom.UID || s.cache(t.res) == nil {
		return store.Compare{}, pathNotFound()
	}
	if e.object().GetDeletionTimestamp() != nil {
		err := apierrors.NewMethodNotSupported(t.groupResource(), "create")
		err.ErrStatus.Message = fmt.Sprintf("%v not allowed while custom resource definition is terminating", "create")
		return store.Compare{}, err
	}
	return store.Compare{Key: e.key, Mod: e.rev}, nil
}
