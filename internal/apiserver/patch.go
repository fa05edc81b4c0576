package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
)

// maxPatchOperations bounds a JSON patch, so that a small body cannot cost much.
const maxPatchOperations = 10000

// patch changes an object by a JSON, merge or strategic merge patch.
func (s *Server) patch(ctx context.Context, t target, pt types.PatchType, data []byte, fv fieldValidation) (*entry, error) {
	apply, err := patcher(pt, data, t.res.GVK, t.res.New())
	if err != nil {
		return nil, err
	}
	if t.sub == "scale" {
		return s.updateScale(ctx, t, func(old *scaleObject) error { return old.patch(apply) })
	}
	return s.update(ctx, t, "", func(old api.Object) (api.Object, error) {
		before, err := marshalJSON(old)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		after, err := apply(before)
		if err != nil {
			return nil, err
		}
		next := t.res.New()
		strict, err := kjson.UnmarshalStrict(after, next)
		if err != nil {
			return nil, apierrors.NewInvalid(t.res.GVK.GroupKind(), t.name, field.ErrorList{field.Invalid(field.NewPath("patch"), string(data), err.Error())})
		}
		if err := judge(strict, t.res.GVK, fv, t.warn); err != nil {
			return nil, err
		}
		if next.GetName() != old.GetName() {
			return nil, apierrors.NewBadRequest("the name of the object (" + next.GetName() + ") does not match the name on the URL (" + old.GetName() + ")")
		}
		// A patch that does not name a revision is tried anew when somebody was
		// faster; one that does must meet that revision.
		if next.GetResourceVersion() == old.GetResourceVersion() && !namesVersion(data) {
			next.SetResourceVersion("")
		}
		return next, nil
	})
}

func namesVersion(patch []byte) bool {
	var p struct {
		Metadata struct {
			ResourceVersion *string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	return json.Unmarshal(patch, &p) == nil && p.Metadata.ResourceVersion != nil
}

// patcher reads the patch once; what it returns may be applied several times.
func patcher(pt types.PatchType, data []byte, gvk schema.GroupVersionKind, like any) (func([]byte) ([]byte, error), error) {
	switch pt {
	case types.JSONPatchType:
		p, err := jsonpatch.DecodePatch(data)
		if err != nil {
			return nil, apierrors.NewBadRequest("error decoding patch: " + err.Error())
		}
		if len(p) > maxPatchOperations {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", maxPatchOperations, len(p)))
		}
		return func(doc []byte) ([]byte, error) {
			out, err := p.Apply(doc)
			if err != nil {
				return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
			}
			return out, nil
		}, nil
	case types.MergePatchType:
		var probe map[string]any
		if err := json.Unmarshal(data, &probe); err != nil {
			return nil, apierrors.NewBadRequest("error decoding patch: " + err.Error())
		}
		return func(doc []byte) ([]byte, error) {
			out, err := jsonpatch.MergePatch(doc, data)
			if err != nil {
				return nil, apierrors.NewBadRequest(err.Error())
			}
			return out, nil
		}, nil
	case types.StrategicMergePatchType:
		var probe map[string]any
		if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &probe); err != nil {
			return nil, apierrors.NewBadRequest("error decoding patch: " + err.Error())
		}
		return func(doc []byte) ([]byte, error) {
			out, err := strategicpatch.StrategicMergePatch(doc, data, like)
			switch {
			case err == nil:
				return out, nil
			case slices.Contains(unprocessable, err):
				return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
			}
			return nil, apierrors.NewBadRequest(err.Error())
		}, nil
	}
	return nil, unsupportedPatch(string(pt))
}

// unprocessable are patches in good form that cannot be carried out.
var unprocessable = []error{mergepatch.ErrNoListOfLists, mergepatch.ErrPatchContentNotMatchRetainKeys, mergepatch.ErrBadPatchFormatForSetElementOrderList}

func unsupportedPatch(have string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: fmt.Sprintf("the body of the request was in an unknown format - accepted media types include: %s, %s, %s, %s", types.JSONPatchType, types.MergePatchType, types.ApplyYAMLPatchType, types.StrategicMergePatchType)}}
}
