package meta

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// FieldImmutable is what an error says of a field that may not change.
const FieldImmutable = "field is immutable"

// NonNegative refuses numbers below zero.
func NonNegative[I ~int | ~int32 | ~int64](v I, path *field.Path, child string) field.ErrorList {
	if v >= 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child(child), int64(v), "must be greater than or equal to 0")}
}

// NonNegativeAt is NonNegative for a pointer; nil is fine.
func NonNegativeAt[I ~int | ~int32 | ~int64](v *I, path *field.Path, child string) field.ErrorList {
	if v == nil {
		return nil
	}
	return NonNegative(*v, path, child)
}

// Port checks a port number that must be there.
func Port[I ~int | ~int32](v I, path *field.Path) field.ErrorList {
	if v >= 1 && v <= 65535 {
		return nil
	}
	return Invalids(path, int(v), validation.IsValidPortNum(int(v)))
}

// PortNumOrName checks what names a port.
func PortNumOrName(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if v.Type == intstr.Int {
		return Port(v.IntVal, path)
	}
	return NameError(path, v.StrVal, PortName)
}

// NumberOrPercent checks a number that is not negative, or a percentage.
func NumberOrPercent(v *intstr.IntOrString, path *field.Path) field.ErrorList {
	if v == nil {
		return nil
	}
	if v.Type == intstr.String {
		return Invalids(path, *v, validation.IsValidPercent(v.StrVal))
	}
	if v.IntVal < 0 {
		return field.ErrorList{field.Invalid(path, int64(v.IntVal), "must be greater than or equal to 0")}
	}
	return nil
}

// Percent is the number of a percentage; ok is false for other values.
func Percent(v *intstr.IntOrString) (n int, ok bool) {
	if v == nil || v.Type != intstr.String {
		return 0, false
	}
	s, found := strings.CutSuffix(v.StrVal, "%")
	n, err := strconv.Atoi(s)
	return n, found && err == nil
}

// IsZero tells whether a number or a percentage is 0; what is neither counts as 0.
func IsZero(v *intstr.IntOrString) bool {
	if v == nil {
		return true
	}
	if n, ok := Percent(v); ok {
		return n == 0
	}
	return v.IntValue() == 0
}

// PercentAtMost100 refuses percentages above 100.
func PercentAtMost100(v *intstr.IntOrString, path *field.Path) field.ErrorList {
	if n, ok := Percent(v); ok && n > 100 {
		return field.ErrorList{field.Invalid(path, *v, "must not be greater than 100%")}
	}
	return nil
}

// RoundUpToMilli keeps a quantity to thousandths, the smallest that the API keeps.
func RoundUpToMilli[K ~string](list map[K]resource.Quantity) {
	for k, q := range list {
		if v := q.DeepCopy(); !v.RoundUp(resource.Milli) {
			list[k] = v
		}
	}
}

// Default sets a field that the client left out.
func Default[T comparable](at *T, value T) {
	var zero T
	if *at == zero {
		*at = value
	}
}

// DefaultAt sets a pointer that the client left out.
func DefaultAt[T any](at **T, value T) {
	if *at == nil {
		v := value // else the value were on the heap whether it is wanted or not
		*at = &v
	}
}

// compat: errors about whole structures print Kubernetes' internal types, whose
// fields have no JSON names.
type goNames struct{ v any }

// GoNames prints a structure in an error with Go's field names.
func GoNames(v any) any { return goNames{v} }

func (g goNames) MarshalJSON() ([]byte, error) { return appendGoNames(nil, reflect.ValueOf(g.v)) }

func appendGoNames(b []byte, v reflect.Value) ([]byte, error) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return appendGoNames(b, v.Elem())
	case reflect.Slice:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendGoNames(b, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case reflect.Struct:
		if _, ok := v.Interface().(json.Marshaler); ok {
			break
		}
		if v.CanAddr() {
			if _, ok := v.Addr().Interface().(json.Marshaler); ok {
				break
			}
		}
		return appendGoStruct(b, v)
	}
	out, err := json.Marshal(v.Interface())
	return append(b, out...), err
}

func appendGoStruct(b []byte, v reflect.Value) ([]byte, error) {
	b = append(b, '{')
	n := len(b)
	var fields func(v reflect.Value) error
	fields = func(v reflect.Value) error {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Anonymous && f.Type.Kind() == reflect.Struct {
				if err := fields(v.Field(i)); err != nil {
					return err
				}
				continue
			}
			if len(b) > n {
				b = append(b, ',')
			}
			b = append(strconv.AppendQuote(b, f.Name), ':')
			var err error
			if b, err = appendGoNames(b, v.Field(i)); err != nil {
				return err
			}
		}
		return nil
	}
	err := fields(v)
	return append(b, '}'), err
}
