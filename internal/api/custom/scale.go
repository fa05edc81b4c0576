package custom

import (
	"fmt"
	"math"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// scalePaths are where a kind keeps what its scale shows, as the definition says them and cut up.
type scalePaths struct {
	spec, status, selector       string // selector may be empty
	specAt, statusAt, selectorAt []string
}

func newScalePaths(s *apiextensionsv1.CustomResourceSubresourceScale) *scalePaths {
	p := &scalePaths{spec: s.SpecReplicasPath, status: s.StatusReplicasPath}
	p.specAt, p.statusAt = fieldsOf(p.spec), fieldsOf(p.status)
	if s.LabelSelectorPath != nil && *s.LabelSelectorPath != "" {
		p.selector, p.selectorAt = *s.LabelSelectorPath, fieldsOf(*s.LabelSelectorPath)
	}
	return p
}

// fieldsOf cuts a simple path: .spec.replicas.
func fieldsOf(path string) []string { return strings.Split(strings.TrimPrefix(path, "."), ".") }

func (p *scalePaths) resource() *api.ResourceScale {
	number := func(at []string) func(api.Object) int32 {
		return func(o api.Object) int32 {
			n, _, _ := unstructured.NestedInt64(asCustom(o).Object, at...) // check tells what is wrong with it
			return int32(n)
		}
	}
	return &api.ResourceScale{
		Replicas: number(p.specAt),
		Observed: number(p.statusAt),
		SetReplicas: func(o api.Object, n int32) {
			setNested(asCustom(o).Object, int64(n), p.specAt)
		},
		Selector: func(o api.Object) string {
			if p.selector == "" {
				return ""
			}
			s, _, _ := unstructured.NestedString(asCustom(o).Object, p.selectorAt...)
			return s
		},
		Check: func(o api.Object) error { return p.check(asCustom(o)) },
		Unset: func(o api.Object) error {
			if _, found, err := unstructured.NestedInt64(asCustom(o).Object, p.specAt...); found && err == nil {
				return nil
			}
			return apierrors.NewBadRequest(fmt.Sprintf("the spec replicas field %q cannot be empty", p.spec))
		},
	}
}

// setNested sets a field, and makes what is on the way to it. Nothing happens when something else is in the way.
func setNested(m map[string]any, n int64, at []string) {
	for _, key := range at[:len(at)-1] {
		sub, ok := m[key].(map[string]any)
		if !ok {
			if m[key] != nil {
				return
			}
			sub = map[string]any{}
			m[key] = sub
		}
		m = sub
	}
	m[at[len(at)-1]] = n
}

// check is the error with which a scale that cannot be shown is answered.
func (p *scalePaths) check(o *unstructured.Unstructured) error {
	_, found, err := unstructured.NestedInt64(o.Object, p.specAt...)
	if err == nil {
		_, _, err = unstructured.NestedInt64(o.Object, p.statusAt...)
	}
	if err == nil && p.selector != "" {
		_, _, err = unstructured.NestedString(o.Object, p.selectorAt...)
	}
	switch {
	case err != nil:
		return apierrors.NewInternalError(err)
	case !found:
		return apierrors.NewInternalError(fmt.Errorf("the spec replicas field %q does not exist", p.spec))
	}
	return nil
}

func (p *scalePaths) validateSpec(o map[string]any) field.ErrorList {
	if p == nil {
		return nil
	}
	return validateReplicas(o, p.spec, p.specAt)
}

func (p *scalePaths) validateStatus(o map[string]any) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := validateReplicas(o, p.status, p.statusAt)
	if p.selector != "" {
		if s, _, err := unstructured.NestedString(o, p.selectorAt...); err != nil {
			errs = append(errs, field.Invalid(field.NewPath(p.selector), s, err.Error()))
		}
	}
	return errs
}

func validateReplicas(o map[string]any, path string, at []string) field.ErrorList {
	n, _, err := unstructured.NestedInt64(o, at...)
	why := ""
	switch {
	case err != nil:
		why = err.Error()
	case n < 0:
		why = "should be a non-negative integer"
	case n > math.MaxInt32:
		why = fmt.Sprintf("should be less than or equal to %v", math.MaxInt32)
	default:
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath(path), n, why)}
}
