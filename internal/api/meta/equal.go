package meta

import (
	"bytes"
	"reflect"
	"sync"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Equal tells whether two parts of objects mean the same: equality.Semantic.DeepEqual,
// thirty times faster. Quantities and times are compared by what they tell, and an
// empty list is as good as none. Pointers are the cheapest to hand over.
//
// A type is looked at once and made into a list of comparisons of memory; nothing
// is reflected upon after that but interfaces and rare maps. Types that hold what
// it cannot read (unexported fields) are left to the library.
func Equal(a, b any) bool {
	t := reflect.TypeOf(a)
	if t == nil || t != reflect.TypeOf(b) {
		return equality.Semantic.DeepEqual(a, b)
	}
	if t.Kind() == reflect.Pointer {
		x, y := reflect.ValueOf(a).UnsafePointer(), reflect.ValueOf(b).UnsafePointer()
		if x == nil || y == nil {
			return x == y
		}
		if same := comparison(t.Elem()); same != nil {
			return same(x, y)
		}
		return equality.Semantic.DeepEqual(a, b)
	}
	same := comparison(t)
	if same == nil {
		return equality.Semantic.DeepEqual(a, b)
	}
	x, y := reflect.New(t), reflect.New(t)
	x.Elem().Set(reflect.ValueOf(a))
	y.Elem().Set(reflect.ValueOf(b))
	return same(x.UnsafePointer(), y.UnsafePointer())
}

// sameFunc compares two values of one type by where they are.
type sameFunc func(a, b unsafe.Pointer) bool

// comparisons holds a sameFunc, maybe nil, for each type that was asked for.
var comparisons sync.Map

func comparison(t reflect.Type) sameFunc {
	if f, ok := comparisons.Load(t); ok {
		return f.(sameFunc)
	}
	c := comparer{made: map[reflect.Type]*sameFunc{}}
	f := c.of(t)
	if c.closed {
		f = nil
	}
	got, _ := comparisons.LoadOrStore(t, f)
	return got.(sameFunc)
}

// comparer makes the comparisons of one type and of all that are in it.
type comparer struct {
	made   map[reflect.Type]*sameFunc
	closed bool // there is something that cannot be read
}

// meanings are of types with a meaning of their own, as equality.Semantic knows them.
var meanings = map[reflect.Type]sameFunc{
	reflect.TypeFor[resource.Quantity](): func(a, b unsafe.Pointer) bool {
		return (*resource.Quantity)(a).Cmp(*(*resource.Quantity)(b)) == 0
	},
	reflect.TypeFor[metav1.Time](): func(a, b unsafe.Pointer) bool {
		return (*metav1.Time)(a).UTC() == (*metav1.Time)(b).UTC()
	},
	reflect.TypeFor[metav1.MicroTime](): func(a, b unsafe.Pointer) bool {
		return (*metav1.MicroTime)(a).UTC() == (*metav1.MicroTime)(b).UTC()
	},
	reflect.TypeFor[metav1.FieldsV1](): func(a, b unsafe.Pointer) bool {
		return (*metav1.FieldsV1)(a).Equal(*(*metav1.FieldsV1)(b))
	},
	reflect.TypeFor[[]byte](): func(a, b unsafe.Pointer) bool {
		return bytes.Equal(*(*[]byte)(a), *(*[]byte)(b))
	},
}

// of returns how values of the type are compared. A type that holds itself finds
// the place where its comparison is going to be.
func (c *comparer) of(t reflect.Type) sameFunc {
	if f := meanings[t]; f != nil {
		return f
	}
	if at, ok := c.made[t]; ok {
		return func(a, b unsafe.Pointer) bool { return (*at)(a, b) }
	}
	at := new(sameFunc)
	c.made[t] = at
	switch t.Kind() {
	case reflect.Map:
		*at = c.mapping(t)
	case reflect.Interface:
		*at = func(a, b unsafe.Pointer) bool {
			return equality.Semantic.DeepEqual(reflect.NewAt(t, a).Elem().Interface(), reflect.NewAt(t, b).Elem().Interface())
		}
	default:
		steps := c.steps(nil, t, 0)
		*at = func(a, b unsafe.Pointer) bool { return run(steps, a, b) }
	}
	return *at
}

// step compares one field of a structure, or of a structure within it.
type step struct {
	at   uintptr
	kind stepKind
	same sameFunc // of what is pointed at, of elements, of others
	size uintptr  // of elements
}

type stepKind uint8

const (
	word1 stepKind = iota
	word2
	word4
	word8
	float4
	float8
	text
	pointer
	list
	other
)

// sliceHeader is how a slice lies in memory.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

func (c *comparer) steps(to []step, t reflect.Type, at uintptr) []step {
	if f := meanings[t]; f != nil {
		return append(to, step{at: at, kind: other, same: f})
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return append(to, step{at: at, kind: word1})
	case reflect.Int16, reflect.Uint16:
		return append(to, step{at: at, kind: word2})
	case reflect.Int32, reflect.Uint32:
		return append(to, step{at: at, kind: word4})
	case reflect.Int, reflect.Uint, reflect.Int64, reflect.Uint64:
		return append(to, step{at: at, kind: word8})
	case reflect.Float32:
		return append(to, step{at: at, kind: float4})
	case reflect.Float64:
		return append(to, step{at: at, kind: float8})
	case reflect.String:
		return append(to, step{at: at, kind: text})
	case reflect.Pointer:
		return append(to, step{at: at, kind: pointer, same: c.of(t.Elem())})
	case reflect.Slice:
		return append(to, step{at: at, kind: list, same: c.of(t.Elem()), size: t.Elem().Size()})
	case reflect.Map, reflect.Interface:
		return append(to, step{at: at, kind: other, same: c.of(t)})
	case reflect.Array:
		for i := range t.Len() {
			to = c.steps(to, t.Elem(), at+uintptr(i)*t.Elem().Size())
		}
		return to
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			c.closed = c.closed || !f.IsExported()
			to = c.steps(to, f.Type, at+f.Offset)
		}
		return to
	}
	c.closed = true // functions, channels, complex numbers: no object has them
	return to
}

func run(steps []step, a, b unsafe.Pointer) bool {
	for i := range steps {
		s := &steps[i]
		x, y := unsafe.Add(a, s.at), unsafe.Add(b, s.at)
		same := true
		switch s.kind {
		case word1:
			same = *(*uint8)(x) == *(*uint8)(y)
		case word2:
			same = *(*uint16)(x) == *(*uint16)(y)
		case word4:
			same = *(*uint32)(x) == *(*uint32)(y)
		case word8:
			same = *(*uint64)(x) == *(*uint64)(y)
		case float4:
			same = *(*float32)(x) == *(*float32)(y)
		case float8:
			same = *(*float64)(x) == *(*float64)(y)
		case text:
			same = *(*string)(x) == *(*string)(y)
		case pointer:
			p, q := *(*unsafe.Pointer)(x), *(*unsafe.Pointer)(y)
			same = p == q || p != nil && q != nil && s.same(p, q)
		case list:
			p, q := (*sliceHeader)(x), (*sliceHeader)(y)
			same = p.len == q.len && (p.data == q.data || elements(s, p, q))
		case other:
			same = s.same(x, y)
		}
		if !same {
			return false
		}
	}
	return true
}

func elements(s *step, p, q *sliceHeader) bool {
	for i := range p.len {
		if at := uintptr(i) * s.size; !s.same(unsafe.Add(p.data, at), unsafe.Add(q.data, at)) {
			return false
		}
	}
	return true
}

// mapping compares maps. Those from texts to texts, amounts and bytes are read as
// what they are; all kinds of texts have the same hash and the same form.
func (c *comparer) mapping(t reflect.Type) sameFunc {
	if t.Key().Kind() == reflect.String {
		switch e := t.Elem(); {
		case e.Kind() == reflect.String:
			return func(a, b unsafe.Pointer) bool {
				return sameMap(*(*map[string]string)(a), *(*map[string]string)(b), func(x, y *string) bool { return *x == *y })
			}
		case e == reflect.TypeFor[resource.Quantity]():
			return func(a, b unsafe.Pointer) bool {
				return sameMap(*(*map[string]resource.Quantity)(a), *(*map[string]resource.Quantity)(b), func(x, y *resource.Quantity) bool { return x.Cmp(*y) == 0 })
			}
		case e == reflect.TypeFor[[]byte]():
			return func(a, b unsafe.Pointer) bool {
				return sameMap(*(*map[string][]byte)(a), *(*map[string][]byte)(b), func(x, y *[]byte) bool { return bytes.Equal(*x, *y) })
			}
		}
	}
	elem := c.of(t.Elem())
	return func(a, b unsafe.Pointer) bool {
		m, n := reflect.NewAt(t, a).Elem(), reflect.NewAt(t, b).Elem()
		if m.Len() != n.Len() {
			return false
		}
		x, y := reflect.New(t.Elem()), reflect.New(t.Elem())
		for it := m.MapRange(); it.Next(); {
			v := n.MapIndex(it.Key())
			if !v.IsValid() {
				return false
			}
			x.Elem().Set(it.Value())
			y.Elem().Set(v)
			if !elem(x.UnsafePointer(), y.UnsafePointer()) {
				return false
			}
		}
		return true
	}
}

func sameMap[V any](m, n map[string]V, same func(x, y *V) bool) bool {
	if len(m) != len(n) {
		return false
	}
	for k, x := range m {
		y, ok := n[k]
		if !ok || !same(&x, &y) {
			return false
		}
	}
	return true
}
