package custom

import (
	"context"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// Validate returns everything that is wrong with a new object, but for its metadata,
// which the caller looks at as in all kinds.
func (v *Version) Validate(ctx context.Context, o *unstructured.Unstructured) field.ErrorList {
	c := v.compiled()
	if c.err != nil {
		return failed(c.err)
	}
	if errs := v.typeErrors(o); len(errs) > 0 {
		return errs
	}
	var errs field.ErrorList
	if !c.valid(o.Object) {
		errs = v.say(errs, func(f *full) field.ErrorList { return validation.ValidateCustomResource(nil, o.Object, f.object) })
	}
	errs = append(errs, v.scalePaths.validateSpec(o.Object)...)
	errs = append(errs, v.scalePaths.validateStatus(o.Object)...)
	errs = c.embedded(ctx, errs, o)
	if !c.root.tidy(o.Object) {
		errs = v.say(errs, func(f *full) field.ErrorList {
			return listtype.ValidateListSetsAndMaps(nil, f.structural, o.Object)
		})
	}
	return v.rules(ctx, c, errs, o, nil, nil)
}

// ValidateUpdate returns what is wrong with a change. What was wrong before and did not
// change is forgiven.
func (v *Version) ValidateUpdate(ctx context.Context, next, old *unstructured.Unstructured) field.ErrorList {
	c := v.compiled()
	if c.err != nil {
		return failed(c.err)
	}
	if errs := v.typeErrors(next); len(errs) > 0 {
		return errs
	}
	var errs field.ErrorList
	both := v.correlate(next, old)
	if !c.valid(next.Object) {
		errs = v.say(errs, func(f *full) field.ErrorList {
			return validation.ValidateCustomResourceUpdate(nil, next.Object, old.Object, f.object, validation.WithRatcheting(both(f.structural)))
		})
	}
	errs = append(errs, v.scalePaths.validateSpec(next.Object)...)
	errs = append(errs, v.scalePaths.validateStatus(next.Object)...)
	errs = c.embedded(ctx, errs, next)
	errs = v.untidy(c, errs, next, old)
	return v.rules(ctx, c, errs, next, old, both)
}

// ValidateStatus returns what is wrong with a change of the status.
func (v *Version) ValidateStatus(ctx context.Context, next, old *unstructured.Unstructured) field.ErrorList {
	c := v.compiled()
	if c.err != nil {
		return failed(c.err)
	}
	if errs := v.typeErrors(next); len(errs) > 0 {
		return errs
	}
	var errs field.ErrorList
	both := v.correlate(next, old)
	status, has := next.Object["status"]
	if has && (c.opaque || c.status != nil && c.status.check(status) != yes) {
		errs = v.say(errs, func(f *full) field.ErrorList {
			if f.status == nil {
				return nil
			}
			var options []validation.ValidationOption
			if f.structural != nil {
				options = append(options, validation.WithRatcheting(both(f.structural).Key("status")))
			}
			return validation.ValidateCustomResourceUpdate(field.NewPath("status"), status, old.Object["status"], f.status, options...)
		})
	}
	errs = append(errs, v.scalePaths.validateStatus(next.Object)...)
	errs = v.untidy(c, errs, next, old)
	return v.rules(ctx, c, errs, next, old, both)
}

// valid tells that the schema finds nothing wrong. A no may be wrong.
func (c *compiled) valid(o map[string]any) bool {
	return !c.opaque && c.root.check(o) == yes
}

// say asks the library what is wrong.
func (v *Version) say(errs field.ErrorList, what func(*full) field.ErrorList) field.ErrorList {
	f, err := v.fullForms()
	if err != nil {
		return append(errs, failed(err)...)
	}
	return append(errs, what(f)...)
}

func failed(err error) field.ErrorList {
	return field.ErrorList{field.InternalError(nil, err)}
}

func (v *Version) typeErrors(o *unstructured.Unstructured) (errs field.ErrorList) {
	if o.GetKind() != v.GVK.Kind {
		errs = append(errs, field.Invalid(field.NewPath("kind"), o.GetKind(), "must be "+v.GVK.Kind))
	}
	if want := v.GVK.GroupVersion().String(); o.GetAPIVersion() != want {
		errs = append(errs, field.Invalid(field.NewPath("apiVersion"), o.GetAPIVersion(), "must be "+want))
	}
	return errs
}

func (c *compiled) embedded(ctx context.Context, errs field.ErrorList, o *unstructured.Unstructured) field.ErrorList {
	if c.root == nil || c.root.below&hasEmbedded == 0 {
		return errs
	}
	return append(errs, objectmeta.Validate(ctx, nil, o.Object, c.structural, false)...)
}

// untidy forgives sets and maps that were none before.
func (v *Version) untidy(c *compiled, errs field.ErrorList, next, old *unstructured.Unstructured) field.ErrorList {
	if c.root.tidy(next.Object) {
		return errs
	}
	return v.say(errs, func(f *full) field.ErrorList {
		if len(listtype.ValidateListSetsAndMaps(nil, f.structural, old.Object)) > 0 {
			return nil
		}
		return listtype.ValidateListSetsAndMaps(nil, f.structural, next.Object)
	})
}

// correlation finds what in an object was what in the old one; it is made once.
type correlation func(*structural.Structural) *common.CorrelatedObject

func (v *Version) correlate(next, old *unstructured.Unstructured) correlation {
	var made *common.CorrelatedObject
	return func(s *structural.Structural) *common.CorrelatedObject {
		if s == nil {
			return nil // the library finds out by itself
		}
		if made == nil {
			made = common.NewCorrelatedObject(next.Object, old.Object, &model.Structural{Structural: s})
		}
		return made
	}
}

// rules runs the CEL rules, unless what is wrong already may make them fail for no reason of theirs.
func (v *Version) rules(ctx context.Context, c *compiled, errs field.ErrorList, next, old *unstructured.Unstructured, both correlation) field.ErrorList {
	rules := c.rules()
	if rules == nil {
		return errs
	}
	if blocks(errs) || blocks(v.metadataErrors(next, old)) {
		return append(errs, field.Invalid(nil, nil, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"))
	}
	s := c.structural
	var found field.ErrorList
	if old == nil {
		found, _ = rules.Validate(ctx, nil, s, next.Object, nil, celconfig.RuntimeCELCostBudget)
	} else {
		found, _ = rules.Validate(ctx, nil, s, next.Object, old.Object, celconfig.RuntimeCELCostBudget, cel.WithRatcheting(both(s)))
	}
	return append(errs, found...)
}

func blocks(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

// metadataErrors are those that the caller finds and tells.
func (v *Version) metadataErrors(next, old *unstructured.Unstructured) field.ErrorList {
	if old == nil {
		return meta.Metadata(next, v.namespaced, api.NameIsDNSSubdomain, field.NewPath("metadata"))
	}
	return meta.MetadataUpdate(next, old, field.NewPath("metadata"))
}
