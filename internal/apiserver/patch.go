package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
)

// patch changes an object by a JSON, merge or strategic merge patch.
func (s *Server) patch(ctx context.Context, t target, pt types.PatchType, data []byte, fv fieldValidation) (*entry, error) {
	if s.cache(t.res).get(t.key()) == nil {
		return nil, t.notFound() // whatever the patch is
	}
	apply, err := patcher(pt, data, t.gvk(), t.newObject())
	if err != nil {
		return nil, err
	}
	repeated, err := repeatedFields(pt, data, fv)
	if err != nil {
		return nil, err
	}
	if t.sub == "scale" {
		return s.updateScale(ctx, t, "", func(old *scaleObject) error { return old.patch(&t, pt, apply, repeated, fv) })
	}
	return s.update(ctx, t, "", func(old api.Object) (api.Object, error) {
		before, err := t.shownJSON(old)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		after, err := apply(before)
		if err != nil {
			return nil, err
		}
		next := t.newObject()
		if err := s.readPatched(&t, pt, data, after, next, repeated[:len(repeated):len(repeated)], fv); err != nil {
			return nil, err
		}
		if next, err = t.read(next); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if err := matchName(next.GetName(), old.GetName()); err != nil {
			return nil, err
		}
		if ns := next.GetNamespace(); t.res.Namespaced && ns != "" && ns != old.GetNamespace() {
			return nil, apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
		}
		if rv := next.GetResourceVersion(); (rv == "" || rv == "0") && t.res.RequireVersion {
			return nil, needsVersion(&t)
		}
		// A patch that does not name a revision is tried anew when somebody was
		// faster; one that does must meet that revision.
		if next.GetResourceVersion() == old.GetResourceVersion() && !namesVersion(data) {
			next.SetResourceVersion("")
		}
		return next, nil
	})
}

// readPatched reads what a patch made.
func (s *Server) readPatched(t *target, pt types.PatchType, data, after []byte, next api.Object, repeated []error, fv fieldValidation) error {
	if u, ok := next.(*unstructured.Unstructured); ok {
		have, err := kindOf(after)
		if err != nil {
			return unfit(*t, pt, data, after, err)
		}
		if err := checkCustomKind(have, t.res.GVK); err != nil {
			return err
		}
		strict, err := readCustom(t.res, after, u, repeated)
		if err != nil {
			return err
		}
		return judgePatch(t, pt, data, after, strict, fv)
	}
	if err := checkQuantities(after, next); err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(after, next)
	if err != nil {
		return unfit(*t, pt, data, after, err)
	}
	if err := sameKind(*t, pt, data, after, next); err != nil {
		return err
	}
	return judgePatch(t, pt, data, after, append(repeated, strict...), fv)
}

// judgePatch applies the field validation to what strict decoding found in a patch and in what it made.
func judgePatch(t *target, pt types.PatchType, data, after []byte, strict []error, fv fieldValidation) error {
	if err := strictly(strict, fv, t.warn); err != nil {
		return unfit(*t, pt, data, after, err)
	}
	return nil
}

type jsonPatchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	From  string `json:"from"`
	Value any    `json:"value"`
}

// repeatedFields finds what is in the patch twice, or where no patch has anything, when somebody wants to know.
func repeatedFields(pt types.PatchType, patch []byte, fv fieldValidation) ([]error, error) {
	if fv == ignoreFields {
		return nil, nil
	}
	if pt != types.JSONPatchType {
		var v any
		strict, err := kjson.UnmarshalStrict(patch, &v)
		if err != nil {
			return nil, nil // whoever applies it says so
		}
		return strict, nil
	}
	var v []jsonPatchOp
	strict, err := kjson.UnmarshalStrict(patch, &v)
	if err != nil {
		return nil, apierrors.NewBadRequest("error decoding patch: " + err.Error())
	}
	for i, e := range strict {
		strict[i] = fmt.Errorf("json patch %w", e)
	}
	return strict, nil
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
			return nil, apierrors.NewBadRequest("error decoding patch: " + strings.ReplaceAll(err.Error(), "jsonpatch.Patch", "[]handlers.jsonPatchOp"))
		}
		if len(p) > maxPatchOperations {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", maxPatchOperations, len(p)))
		}
		limitCopies()
		return func(doc []byte) ([]byte, error) {
			if err := checkShifts(len(p), data, doc); err != nil {
				return nil, err
			}
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
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return func(doc []byte) ([]byte, error) {
			if err := checkLookups(probe, doc); err != nil {
				return nil, err
			}
			out, err := strategicMerge(doc, data, like)
			switch {
			case err == nil:
				return out, nil
			case slices.Contains(unprocessable, err):
				return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
			case slices.Contains(malformed, err):
				return nil, apierrors.NewBadRequest(err.Error())
			case apierrors.IsBadRequest(err):
				return nil, err
			}
			return nil, wrong(err)
		}, nil
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("%q is no patch type", pt))
}

// strategicMerge is the library's, which panics where a patch has lists or maps for
// the keys that elements are merged by.
func strategicMerge(doc, data []byte, like any) (out []byte, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = apierrors.NewBadRequest("the patch does not fit the object: " + p.Error())
		default:
			panic(p)
		}
	}()
	return strategicpatch.StrategicMergePatch(doc, data, like)
}

// What is wrong with a strategic merge patch is the client's fault if it is one of these; compat: all else is a server error.
var (
	unprocessable = []error{mergepatch.ErrNoListOfLists, mergepatch.ErrPatchContentNotMatchRetainKeys}
	malformed     = []error{mergepatch.ErrBadJSONDoc, mergepatch.ErrBadPatchFormatForPrimitiveList, mergepatch.ErrBadPatchFormatForRetainKeys,
		mergepatch.ErrBadPatchFormatForSetElementOrderList, mergepatch.ErrUnsupportedStrategicMergePatchFormat}
)

// customPatches are the patches that objects without a Go type know.
const customPatches = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"

// unsupportedPatch refuses a body. compat: for kinds with a Go type, with fewer words.
func unsupportedPatch(r *api.Resource) error {
	status := metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType}
	if r.Custom != nil {
		status.Message = "the body of the request was in an unknown format - accepted media types include: " + customPatches
	} else {
		status.Message, status.Details = "415: Unsupported Media Type", &metav1.StatusDetails{}
	}
	return &apierrors.StatusError{ErrStatus: status}
}
