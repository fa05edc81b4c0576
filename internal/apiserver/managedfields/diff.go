package managedfields

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/api/schema"
)

// difference is what happened to a value: the paths that are new or have another
// value now, and those that are gone. Either may be nil.
type difference struct{ set, removed *set }

// compare finds the difference between two values of type t. An invalid Value
// says that the field is not there; a nil pointer, map or list that JSON shows is
// null.
func compare(t *schema.Type, l, r reflect.Value) difference {
	hasL, hasR := l.IsValid(), r.IsValid()
	l, r = deref(l), deref(r)
	var d difference
	switch t.Shape {
	case schema.Struct:
		if emptyStruct(t, l) && emptyStruct(t, r) {
			return leaf(hasL, hasR, isNull(l) == isNull(r))
		}
		d = compareStruct(t, l, r)
	case schema.Map:
		if length(l) == 0 && length(r) == 0 {
			return leaf(hasL, hasR, isNull(l) == isNull(r))
		}
		d = compareMap(t, l, r)
	case schema.List, schema.Set:
		if length(l) == 0 && length(r) == 0 {
			return leaf(hasL, hasR, isNull(l) == isNull(r))
		}
		d = compareList(t, l, r)
	default:
		return leaf(hasL, hasR, hasL && hasR && equal(l, r))
	}
	if !hasL {
		d.set = mark(d.set)
	} else if !hasR {
		d.removed = mark(d.removed)
	}
	return d
}

// aMember stands for paths without deeper ones; it is shared and never changed.
func aMember() *set { return &set{member: true} }

func mark(s *set) *set {
	if s == nil {
		return aMember()
	}
	s.member = true
	return s
}

func leaf(hasL, hasR, same bool) difference {
	switch {
	case !hasL && hasR:
		return difference{set: aMember()}
	case hasL && !hasR:
		return difference{removed: aMember()}
	case hasL && !same:
		return difference{set: aMember()}
	}
	return difference{}
}

func deref(v reflect.Value) reflect.Value {
	for v.IsValid() && v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return reflect.Value{}
		}
		v = v.Elem()
	}
	return v
}

func isNull(v reflect.Value) bool {
	if !v.IsValid() {
		return true
	}
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.IsNil()
	}
	return false
}

func length(v reflect.Value) int {
	if !v.IsValid() {
		return 0
	}
	return v.Len()
}

func emptyStruct(t *schema.Type, v reflect.Value) bool {
	if !v.IsValid() {
		return true
	}
	for i := range t.Fields {
		if f := &t.Fields[i]; present(f, at(v, f.Index)) {
			return false
		}
	}
	return true
}

func at(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		v = v.Field(i)
	}
	return v
}

// present tells whether JSON shows the field.
func present(f *schema.Field, v reflect.Value) bool {
	if f.OmitZero && v.IsZero() {
		return false
	}
	if !f.OmitEmpty {
		return true
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil()
	case reflect.Map, reflect.Slice:
		return v.Len() > 0
	case reflect.String:
		return v.Len() > 0
	case reflect.Bool:
		return v.Bool()
	case reflect.Struct:
		return true
	}
	return !v.IsZero()
}

func (d *difference) add(element string, of difference) {
	if of.set != nil {
		if d.set == nil {
			d.set = &set{}
		}
		d.set.children = append(d.set.children, child{element, of.set})
	}
	if of.removed != nil {
		if d.removed == nil {
			d.removed = &set{}
		}
		d.removed.children = append(d.removed.children, child{element, of.removed})
	}
}

func compareStruct(t *schema.Type, l, r reflect.Value, skip ...string) (d difference) {
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Name == "managedFields" || len(skip) > 0 && slices.Contains(skip, f.Name) {
			continue
		}
		var lf, rf reflect.Value
		if l.IsValid() {
			if v := at(l, f.Index); present(f, v) {
				lf = v
			}
		}
		if r.IsValid() {
			if v := at(r, f.Index); present(f, v) {
				rf = v
			}
		}
		if !lf.IsValid() && !rf.IsValid() {
			continue
		}
		d.add(f.Element, compare(f.Type, lf, rf))
	}
	return d
}

func compareMap(t *schema.Type, l, r reflect.Value) (d difference) {
	if l.IsValid() && r.IsValid() {
		// Labels and the like rarely change: the common answer comes first.
		if lm, ok := l.Interface().(map[string]string); ok && maps.Equal(lm, r.Interface().(map[string]string)) {
			return d
		}
	}
	keys := make([]string, 0, length(l)+length(r))
	for _, m := range []reflect.Value{l, r} {
		if m.IsValid() {
			for it := m.MapRange(); it.Next(); {
				keys = append(keys, it.Key().String())
			}
		}
	}
	slices.Sort(keys)
	keyType := t.Go.Key()
	for _, k := range slices.Compact(keys) {
		key := reflect.ValueOf(k)
		if key.Type() != keyType {
			key = key.Convert(keyType)
		}
		var lv, rv reflect.Value
		if l.IsValid() {
			lv = l.MapIndex(key)
		}
		if r.IsValid() {
			rv = r.MapIndex(key)
		}
		d.add("f:"+k, compare(t.Elem, lv, rv))
	}
	return d
}

// item is an item of a list with its path element.
type item struct {
	element string
	side    int // 0: left, 1: right
	value   reflect.Value
}

func compareList(t *schema.Type, l, r reflect.Value) (d difference) {
	if l.IsValid() && r.IsValid() && l.Len() == r.Len() {
		if d, ok := compareAligned(t, l, r); ok {
			return d
		}
	}
	items := make([]item, 0, length(l)+length(r))
	var buf []byte
	for side, list := range []reflect.Value{l, r} {
		for i := range length(list) {
			v := list.Index(i)
			ok := false
			if buf, ok = element(buf[:0], t, deref(v)); ok {
				items = append(items, item{string(buf), side, v})
			}
		}
	}
	slices.SortStableFunc(items, func(a, b item) int {
		if c := strings.Compare(a.element, b.element); c != 0 {
			return c
		}
		return a.side - b.side
	})
	for len(items) > 0 {
		n := 1
		for n < len(items) && items[n].element == items[0].element {
			n++
		}
		d.add(items[0].element, compareItems(t, items[:n]))
		items = items[n:]
	}
	return d
}

// compareAligned compares two lists that have the same items in the same places,
// as they mostly do; false when they have not, or when an item is there twice.
func compareAligned(t *schema.Type, l, r reflect.Value) (difference, bool) {
	var d difference
	var space [512]byte
	keys, starts := space[:0], make([]int, 0, 16)
	for i := range l.Len() {
		start, ok := len(keys), false
		if keys, ok = element(keys, t, deref(l.Index(i))); !ok {
			return d, false
		}
		end := len(keys)
		if keys, ok = element(keys, t, deref(r.Index(i))); !ok || string(keys[start:end]) != string(keys[end:]) {
			return d, false
		}
		keys = keys[:end]
		for j, from := range starts {
			to := start
			if j+1 < len(starts) {
				to = starts[j+1]
			}
			if string(keys[from:to]) == string(keys[start:end]) {
				return d, false
			}
		}
		starts = append(starts, start)
		if of := compare(t.Elem, l.Index(i), r.Index(i)); of.set != nil || of.removed != nil {
			d.add(string(keys[start:end]), of)
		}
	}
	byElement := func(a, b child) int { return strings.Compare(a.element, b.element) }
	if d.set != nil {
		slices.SortFunc(d.set.children, byElement)
	}
	if d.removed != nil {
		slices.SortFunc(d.removed.children, byElement)
	}
	return d, true
}

// compareItems compares the items with one element. Items that occur twice are one value together.
func compareItems(t *schema.Type, same []item) difference {
	split := 0
	for split < len(same) && same[split].side == 0 {
		split++
	}
	l, r := same[:split], same[split:]
	one := func(items []item) reflect.Value {
		if len(items) == 0 {
			return reflect.Value{}
		}
		return items[0].value
	}
	switch {
	case len(l) <= 1 && len(r) <= 1:
		return compare(t.Elem, one(l), one(r))
	case len(l) >= 2 && len(r) >= 2:
		if slices.EqualFunc(l, r, func(a, b item) bool { return equal(deref(a.value), deref(b.value)) }) {
			return difference{}
		}
		return difference{set: aMember()}
	case len(l) >= 2:
		var d difference
		if len(r) > 0 {
			d = compare(t.Elem, reflect.Value{}, one(r))
		}
		d.removed = mark(d.removed)
		return d
	}
	var d difference
	if len(l) > 0 {
		d = compare(t.Elem, one(l), reflect.Value{})
	}
	d.set = mark(d.set)
	return d
}

// element appends the path element of a list's item: its keys, or itself.
func element(b []byte, t *schema.Type, v reflect.Value) ([]byte, bool) {
	if !v.IsValid() {
		return b, false
	}
	if t.Shape == schema.Set {
		return appendScalar(append(b, "v:"...), v)
	}
	b = append(b, "k:{"...)
	n := 0
	for i := range t.Keys {
		k := &t.Keys[i]
		if k.Index == nil {
			return b, false
		}
		f := at(v, k.Index)
		there := !f.IsZero() || !omitted(t.Elem, k.Name)
		f = deref(f)
		there = there && f.IsValid()
		if !there && k.Default == "" {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = append(appendQuoted(b, k.Name), ':')
		if !there {
			b = append(b, k.Default...)
			continue
		}
		ok := false
		if b, ok = appendScalar(b, f); !ok {
			return b, false
		}
	}
	return append(b, '}'), n > 0
}

// omitted tells whether the field vanishes from JSON when it is zero.
func omitted(t *schema.Type, name string) bool {
	i, ok := slices.BinarySearchFunc(t.Fields, name, func(f schema.Field, n string) int { return strings.Compare(f.Name, n) })
	return ok && t.Fields[i].OmitEmpty
}

func appendScalar(b []byte, v reflect.Value) ([]byte, bool) {
	switch k := v.Kind(); {
	case k == reflect.String:
		return appendQuoted(b, v.String()), true
	case k == reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), true
	case v.CanInt():
		return strconv.AppendInt(b, v.Int(), 10), true
	case v.CanUint():
		return strconv.AppendUint(b, v.Uint(), 10), true
	}
	if s, ok := v.Interface().(intstr.IntOrString); ok {
		if s.Type == intstr.String {
			return appendQuoted(b, s.StrVal), true
		}
		return strconv.AppendInt(b, int64(s.IntVal), 10), true
	}
	return b, false
}

// equal compares leaves as JSON would show them.
func equal(l, r reflect.Value) bool {
	if !l.IsValid() || !r.IsValid() {
		return l.IsValid() == r.IsValid()
	}
	switch k := l.Kind(); {
	case k == reflect.String:
		return l.String() == r.String()
	case k == reflect.Bool:
		return l.Bool() == r.Bool()
	case l.CanInt():
		return l.Int() == r.Int()
	case l.CanUint():
		return l.Uint() == r.Uint()
	case l.CanFloat():
		return l.Float() == r.Float()
	case isNull(l) != isNull(r):
		return false
	}
	// What comes by address costs no allocation.
	if l.CanAddr() && r.CanAddr() {
		switch a := l.Addr().Interface().(type) {
		case *metav1.Time:
			return a.Equal(r.Addr().Interface().(*metav1.Time))
		case *metav1.MicroTime:
			return a.Equal(r.Addr().Interface().(*metav1.MicroTime))
		case *resource.Quantity:
			return a.Cmp(*r.Addr().Interface().(*resource.Quantity)) == 0
		case *intstr.IntOrString:
			return *a == *r.Addr().Interface().(*intstr.IntOrString)
		case *[]string:
			return slices.Equal(*a, *r.Addr().Interface().(*[]string))
		}
	}
	return equality.Semantic.DeepEqual(l.Interface(), r.Interface())
}
