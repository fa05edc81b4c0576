package resource

import (
	"maps"
	"math/big"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxValidValues bounds the amounts that a device lists as those it gives.
const maxValidValues = 10

// validateCapacities checks what a device has. How it is shared is told only of devices that are.
func validateCapacities(d *resourcev1.Device, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	shared := d.AllowMultipleAllocations != nil && *d.AllowMultipleAllocations
	for _, name := range slices.Sorted(maps.Keys(d.Capacity)) {
		c, key := d.Capacity[name], at.Key(string(name))
		errs = append(errs, validateQualified(string(name), key)...)
		switch {
		case c.RequestPolicy == nil:
		case !shared:
			errs = append(errs, field.Invalid(key.Child("requestPolicy"), nil, "allowed only when `allowMultipleAllocations` is true"))
		default:
			errs = append(errs, validatePolicy(c.RequestPolicy, c.Value, key.Child("requestPolicy"))...)
		}
	}
	return errs
}

func validatePolicy(p *resourcev1.CapacityRequestPolicy, whole resource.Quantity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	def := at.Child("default")
	if p.Default == nil && (len(p.ValidValues) > 0 || p.ValidRange != nil) {
		errs = append(errs, field.Required(def, "required when validValues or validRange is defined"))
	}
	if p.Default != nil && p.Default.Cmp(whole) > 0 {
		errs = append(errs, field.Invalid(def, p.Default.String(), "default value is larger than the capacity: "+whole.String()))
	}
	if len(p.ValidValues) > 0 && p.ValidRange != nil {
		return append(errs, field.Forbidden(at.Child("validRange"), "exactly one policy can be specified, cannot specify `validValues` and `validRange` at the same time"))
	}
	if len(p.ValidValues) > 0 {
		return append(errs, validateValues(p, whole, at)...)
	}
	if p.ValidRange != nil {
		return append(errs, validateRange(p, whole, at)...)
	}
	return errs
}

func validateValues(p *resourcev1.CapacityRequestPolicy, whole resource.Quantity, at *field.Path) field.ErrorList {
	values := at.Child("validValues")
	errs := atMost(len(p.ValidValues), maxValidValues, values)
	found := p.Default == nil
	for i := range p.ValidValues {
		v, idx := &p.ValidValues[i], values.Index(i)
		if v.Cmp(whole) > 0 {
			errs = append(errs, field.Invalid(idx, v.String(), "option is larger than the capacity: "+whole.String()))
		}
		if i > 0 {
			switch c := v.Cmp(p.ValidValues[i-1]); {
			case c == 0:
				errs = append(errs, field.Duplicate(idx, v.String()))
			case c < 0:
				errs = append(errs, field.Invalid(idx, v.String(), "values must be sorted in ascending order"))
			}
		}
		found = found || v.Cmp(*p.Default) == 0
	}
	if !found {
		errs = append(errs, field.Invalid(at.Child("default"), p.Default.String(), "default value is not valid according to the requestPolicy"))
	}
	return errs
}

func validateRange(p *resourcev1.CapacityRequestPolicy, whole resource.Quantity, at *field.Path) field.ErrorList {
	r, path := p.ValidRange, at.Child("validRange")
	if r.Min == nil {
		return field.ErrorList{field.Required(path.Child("min"), "")}
	}
	var errs field.ErrorList
	if r.Min.Sign() < 0 {
		errs = append(errs, field.Invalid(path.Child("min"), r.Min.String(), "must be greater than or equal to zero"))
	}
	top, name := whole, "capacity"
	if r.Max != nil {
		if r.Max.Cmp(whole) > 0 {
			errs = append(errs, field.Invalid(path.Child("max"), r.Max.String(), "max is larger than the capacity: "+whole.String()))
		}
		top, name = *r.Max, "max"
	}
	if r.Min.Cmp(top) > 0 {
		errs = append(errs, field.Invalid(path.Child("min"), r.Min.String(), "min is larger than the "+name+": "+top.String()))
	}
	if r.Step != nil {
		if r.Step.Sign() <= 0 {
			errs = append(errs, field.Invalid(path.Child("step"), r.Step.String(), "must be greater than zero"))
		} else if sum(*r.Min, *r.Step).Cmp(whole) > 0 {
			errs = append(errs, field.Invalid(path.Child("step"), r.Step.String(), "one step exceeds the capacity: "+whole.String()))
		} else if r.Max != nil && !steps(*r.Min, *r.Max, *r.Step) {
			errs = append(errs, field.Invalid(path.Child("max"), r.Max.String(), "max is not a multiple of the step from min"))
		}
	}
	if d := p.Default; d != nil && (d.Cmp(*r.Min) < 0 || d.Cmp(top) > 0 || r.Step != nil && r.Step.Sign() > 0 && !steps(*r.Min, *d, *r.Step)) {
		errs = append(errs, field.Invalid(at.Child("default"), d.String(), "default value is not valid according to the requestPolicy"))
	}
	return errs
}

func sum(a, b resource.Quantity) *resource.Quantity {
	c := a.DeepCopy()
	c.Add(b)
	return &c
}

// steps tells whether some whole number of steps leads from one amount to the other.
// Amounts are compared exactly, unless their exponents are absurd: then they are taken as they are.
func steps(from, to, step resource.Quantity) bool {
	to = to.DeepCopy()
	to.Sub(from)
	a, b := to.AsDec(), step.AsDec()
	const absurd = 100
	if a.Scale() > absurd || a.Scale() < -absurd || b.Scale() > absurd || b.Scale() < -absurd {
		return true
	}
	scale := max(a.Scale(), b.Scale())
	up := func(unscaled *big.Int, by int64) *big.Int {
		return new(big.Int).Mul(unscaled, new(big.Int).Exp(big.NewInt(10), big.NewInt(by), nil))
	}
	x, y := up(a.UnscaledBig(), int64(scale-a.Scale())), up(b.UnscaledBig(), int64(scale-b.Scale()))
	return new(big.Int).Rem(x, y).Sign() == 0
}

// validateAmounts checks the names of what a request asks for.
func validateAmounts(c *resourcev1.CapacityRequirements, at *field.Path) field.ErrorList {
	if c == nil {
		return nil
	}
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(c.Requests)) {
		errs = append(errs, validateQualified(string(name), at.Child("requests").Key(string(name)))...)
	}
	return errs
}
