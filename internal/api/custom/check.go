package custom

import (
	"math"
	"unicode/utf8"

	"k8s.io/kube-openapi/pkg/validation/strfmt"
)

// verdict is what nodes say of an object. unsure is left to the library.
type verdict uint8

const (
	unsure verdict = iota
	no
	yes
)

// and is the verdict of both: one no is a no.
func (v verdict) and(w verdict) verdict {
	switch {
	case v == no || w == no:
		return no
	case v == unsure || w == unsure:
		return unsure
	}
	return yes
}

// check tells whether the library would find x valid. It is not patient: from the first
// no on, and when it comes to what is rarely said, it leaves things to the library.
func (n *node) check(x any) verdict {
	if n == nil {
		return yes
	}
	l := n.limits
	if x == nil {
		if n.types != 0 && !n.nullable || l != nil && len(l.enum) > 0 {
			return no // compat: null is in no enum, even if it is listed
		}
		return yes
	}
	if l == nil {
		return n.checkParts(x, n.checkType(x, ""))
	}
	if l.unsure {
		return unsure
	}
	v := n.checkType(x, l.format)
	if v == no {
		return no
	}
	if len(l.enum) > 0 {
		if v = v.and(l.checkEnum(x)); v == no {
			return no
		}
	}
	switch x := x.(type) {
	case string:
		v = v.and(l.checkString(x))
	case int64:
		v = v.and(l.checkInteger(x, n.types))
	case float64:
		v = v.and(l.checkFloat(x, n.types))
	}
	if v == no {
		return no
	}
	if v = n.checkParts(x, v); v == no {
		return no
	}
	return l.checkJunctors(x, v)
}

func (n *node) checkType(x any, format string) verdict {
	var is kinds
	switch x.(type) {
	case string:
		is = isString
		if format != "" && n.types == 0 {
			return yes // formats alone demand nothing of the type
		}
	case int64:
		is = isInteger | isNumber
	case float64:
		is = isNumber
		if n.types&isInteger != 0 && n.types&isNumber == 0 {
			return unsure // 3.0 is an integer
		}
	case bool:
		is = isBoolean
	case map[string]any:
		is = isObject
	case []any:
		is = isArray
	default:
		return unsure
	}
	if format != "" && (n.types == 0 || n.types&is == 0 || n.types == isInteger|isString) {
		return unsure
	}
	if n.types != 0 && n.types&is == 0 {
		return no
	}
	return yes
}

// checkEnum is sure of equals of the same type, and of words that are not there.
func (l *limits) checkEnum(x any) verdict {
	s, isText := x.(string)
	v := no
	for _, e := range l.enum {
		switch e := e.(type) {
		case string:
			if isText && e == s {
				return yes
			}
			if !isText {
				v = unsure
			}
		case int64, float64, bool:
			if !isText && e == x {
				return yes
			}
			v = unsure
		default:
			v = unsure
		}
	}
	return v
}

func (l *limits) checkString(s string) verdict {
	if l.minLength != -1 || l.maxLength != -1 {
		length := int64(utf8.RuneCountInString(s))
		if l.minLength != -1 && length < l.minLength || l.maxLength != -1 && length > l.maxLength {
			return no
		}
	}
	if l.pattern != nil && !l.pattern.MatchString(s) {
		return no
	}
	if l.format != "" && strfmt.Default.ContainsName(l.format) && !strfmt.Default.Validates(l.format, s) {
		return no
	}
	return yes
}

// exact are the whole numbers that bounds and integers have in common.
const exact = 1 << 53

func whole(f float64) bool { return f == math.Trunc(f) && math.Abs(f) < exact }

func (l *limits) checkInteger(i int64, types kinds) verdict {
	if types == isInteger && l.format == "int32" && (i < math.MinInt32 || i > math.MaxInt32) {
		return no
	}
	if m := l.multipleOf; m != nil {
		if !whole(*m) || *m <= 0 {
			return unsure
		}
		if i%int64(*m) != 0 {
			return no
		}
	}
	for _, b := range []*float64{l.minimum, l.maximum} {
		if b != nil && (!whole(*b) || l.format == "int32" && math.Abs(*b) > math.MaxInt32) {
			return unsure
		}
	}
	if b := l.minimum; b != nil && (i < int64(*b) || l.exclusiveMinimum && i == int64(*b)) {
		return no
	}
	if b := l.maximum; b != nil && (i > int64(*b) || l.exclusiveMaximum && i == int64(*b)) {
		return no
	}
	return yes
}

func (l *limits) checkFloat(f float64, types kinds) verdict {
	if l.multipleOf != nil || types&isInteger != 0 || l.format != "" && l.format != "double" || math.IsNaN(f) {
		return unsure
	}
	if b := l.minimum; b != nil && (f < *b || l.exclusiveMinimum && f == *b) {
		return no
	}
	if b := l.maximum; b != nil && (f > *b || l.exclusiveMaximum && f == *b) {
		return no
	}
	return yes
}

// checkParts looks at what is in objects and lists; v is the verdict so far.
func (n *node) checkParts(x any, v verdict) verdict {
	switch x := x.(type) {
	case map[string]any:
		return n.checkObject(x, v)
	case []any:
		if l := n.limits; l != nil && (l.minItems != -1 && int64(len(x)) < l.minItems || l.maxItems != -1 && int64(len(x)) > l.maxItems) {
			return no
		}
		if n.items == nil {
			return v
		}
		for _, item := range x {
			if v = v.and(n.items.check(item)); v == no {
				return no
			}
		}
	}
	return v
}

func (n *node) checkObject(x map[string]any, v verdict) verdict {
	if l := n.limits; l != nil {
		if l.minProperties != -1 && int64(len(x)) < l.minProperties || l.maxProperties != -1 && int64(len(x)) > l.maxProperties {
			return no
		}
		for _, name := range l.required {
			if _, ok := x[name]; !ok {
				return no
			}
		}
	}
	if n.props == nil && n.extra == nil && !n.closed {
		return v
	}
	for key, val := range x {
		p, ok := n.props[key]
		if !ok {
			if n.closed {
				return no
			}
			p = n.extra
		}
		if v = v.and(p.check(val)); v == no {
			return no
		}
	}
	return v
}

func (l *limits) checkJunctors(x any, v verdict) verdict {
	for _, sub := range l.allOf {
		if v = v.and(sub.check(x)); v == no {
			return no
		}
	}
	if len(l.anyOf) > 0 {
		any := no
		for _, sub := range l.anyOf {
			switch sub.check(x) {
			case yes:
				any = yes
			case unsure:
				if any == no {
					any = unsure
				}
			}
			if any == yes {
				break
			}
		}
		v = v.and(any)
	}
	if len(l.oneOf) > 0 {
		v = v.and(oneOf(l.oneOf, x))
	}
	if l.not != nil {
		switch l.not.check(x) {
		case yes:
			v = no
		case unsure:
			v = v.and(unsure)
		}
	}
	return v
}

func oneOf(set []*node, x any) verdict {
	valid := 0
	for _, sub := range set {
		switch sub.check(x) {
		case yes:
			valid++
		case unsure:
			return unsure
		}
	}
	if valid == 1 {
		return yes
	}
	return no
}
