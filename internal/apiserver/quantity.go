package apiserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// A quantity of "1e1000000000" keeps resource.ParseQuantity busy for hours, so
// such a one is found before the decoder gets to it. Nearly all bodies are done
// with after one look at their bytes; only where something looks like it is the
// body gone through along the type.

// checkQuantities looks through the JSON of an object. What is no JSON is left to
// the decoder, which refuses it before it comes to any quantity.
func checkQuantities(b []byte, into any) error {
	if !exponents(b) || !holdsQuantity(reflect.TypeOf(into)) {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if found, _ := hugeQuantity(dec, reflect.TypeOf(into), 0); found {
		return apierrors.NewBadRequest("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' and have an exponent of at most 100")
	}
	return nil
}

// exponents tells whether a number with an exponent of three digits or more may be
// in there. Escapes could hide one.
func exponents(b []byte) bool {
	if bytes.Contains(b, []byte(`\u00`)) {
		return true
	}
	for i := 1; i+3 < len(b); i++ {
		if b[i]|0x20 != 'e' || !digit(b[i-1]) && b[i-1] != '.' {
			continue
		}
		rest := b[i+1:]
		if rest[0] == '+' || rest[0] == '-' {
			rest = rest[1:]
		}
		if len(rest) >= 3 && digit(rest[0]) && digit(rest[1]) && digit(rest[2]) {
			return true
		}
	}
	return false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

var (
	quantityType    = reflect.TypeFor[resource.Quantity]()
	unmarshalerType = reflect.TypeFor[interface{ UnmarshalJSON([]byte) error }]()
	quantityHolders sync.Map // of reflect.Type to bool
)

func holdsQuantity(t reflect.Type) bool {
	if have, ok := quantityHolders.Load(t); ok {
		return have.(bool)
	}
	found := reaches(t, map[reflect.Type]bool{})
	quantityHolders.Store(t, found)
	return found
}

func reaches(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == quantityType {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return reaches(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if reaches(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

// hugeQuantity reads the next value, which is decoded into a t (nil: into nothing of
// interest), and tells whether a quantity that must not be parsed is in it. It goes
// by tokens, as the decoder does: of a key that is there twice, both values count.
func hugeQuantity(dec *json.Decoder, t reflect.Type, depth int) (bool, error) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tok, err := dec.Token()
	if err != nil {
		return false, err
	}
	d, opens := tok.(json.Delim)
	if !opens {
		return t == quantityType && meta.HugeExponent(strings.TrimSpace(fmt.Sprint(tok))), nil
	}
	if t != nil && (t == quantityType || reflect.PointerTo(t).Implements(unmarshalerType)) || depth > 1000 {
		t = nil
	}
	if t == nil {
		return false, skipRest(dec)
	}
	for dec.More() {
		var inner reflect.Type
		if d == '{' {
			key, err := dec.Token()
			if err != nil {
				return false, err
			}
			inner = fieldType(t, key.(string))
		} else if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
			inner = t.Elem()
		}
		if found, err := hugeQuantity(dec, inner, depth+1); found || err != nil {
			return found, err
		}
	}
	_, err = dec.Token()
	return false, err
}

// skipRest reads to the end of the value that was begun.
func skipRest(dec *json.Decoder) error {
	for open := 1; open > 0; {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return nil
}

// fieldType is the type that a key's value has in a t; nil when there is no such field.
func fieldType(t reflect.Type, key string) reflect.Type {
	switch t.Kind() {
	case reflect.Map:
		return t.Elem()
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == key {
				return f.Type
			}
			if name == "" && f.Anonymous {
				if found := fieldType(f.Type, key); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// checkWireQuantities looks through a protobuf message. A quantity is a message with
// its text as field 1, three levels down at least; what else looks just so is
// refused with it.
func checkWireQuantities(raw []byte, into any) error {
	if exponents(raw) && holdsQuantity(reflect.TypeOf(into)) && hugeOnWire(raw, 0) {
		return apierrors.NewBadRequest("quantities must have an exponent of at most 100; where this is none, send the object as JSON")
	}
	return nil
}

// hugeOnWire reads tags and lengths as the generated decoders do, which is laxer
// than what protobuf says, and takes every value for a message.
func hugeOnWire(b []byte, depth int) bool {
	const deepest = 32
	if depth > deepest {
		return false
	}
	for len(b) > 0 {
		tag, n := uvarint(b)
		if n == 0 {
			return false
		}
		b = b[n:]
		switch tag & 7 {
		case 0:
			if _, n = uvarint(b); n == 0 {
				return false
			}
		case 1:
			n = 8
		case 2:
			size, head := uvarint(b)
			if head == 0 || size > uint64(len(b)-head) {
				return false
			}
			n = head + int(size)
			v := b[head:n]
			if depth > 1 && int32(tag>>3) == 1 && meta.HugeExponent(strings.TrimSpace(string(v))) || hugeOnWire(v, depth+1) {
				return true
			}
		case 5:
			n = 4
		case 3, 4: // groups: what is in them is looked at like the rest
			n = 0
		default:
			return false
		}
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return false
}

// uvarint reads a number of at most ten bytes, however padded; the length is 0 when there is none.
func uvarint(b []byte) (v uint64, n int) {
	for shift := 0; shift < 64 && n < len(b); shift += 7 {
		c := b[n]
		n++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}
