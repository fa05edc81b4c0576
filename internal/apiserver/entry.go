package apiserver

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"sync/atomic"
	"unique"
	"unsafe"
	"weak"

	"github.com/skiff-k8s/skiff/internal/api"
)

// entry is one object at one revision. What it holds is the stored bytes and what
// selectors and indexes ask for; the decoded object and its JSON are made when
// somebody wants them, shared by all who hold them, and gone when nobody does. An
// entry is immutable once the cache has published it.
type entry struct {
	res *api.Resource
	key string
	rev int64
	// value is the stored form, raw the object's protobuf message inside it (nil when
	// the kind is stored as JSON), suffix what gives raw its resourceVersion.
	value  []byte
	raw    []byte
	suffix []byte

	labels labelPairs
	fields []unique.Handle[string]
	terms  []term

	decoded atomic.Pointer[decoded]
	json    atomic.Pointer[encoding]
}

// decoded leads to an entry's object while anybody else holds it.
type decoded struct {
	weak weak.Pointer[byte]
	held api.Object // of kinds that have no Go type of their own: these stay
}

// newEntry encodes an object that is about to be written. The object is the
// entry's from here on.
func newEntry(r *api.Resource, key string, o api.Object) (*entry, error) {
	o.SetResourceVersion("")
	e := &entry{res: r, key: key}
	o.GetObjectKind().SetGroupVersionKind(r.GVK)
	var err error
	if m, ok := any(o).(protoMessage); ok && r.Type != nil {
		e.value, e.raw, err = envelope(r.GVK, m)
	} else {
		e.value, err = json.Marshal(o)
	}
	e.describe(o)
	e.keep(o)
	return e, err
}

// publish gives the entry its revision, just before others can see it.
func (e *entry) publish(rev int64) {
	e.rev = rev
	e.suffix = versionField(rev)
	if o := e.alive(); o != nil {
		o.SetResourceVersion(strconv.FormatInt(rev, 10))
	}
}

// readEntry is the entry of a stored value.
func readEntry(r *api.Resource, key string, value []byte, rev int64) (*entry, error) {
	e := &entry{res: r, key: key, value: value, rev: rev, suffix: versionField(rev)}
	o, raw, err := e.decode()
	if err != nil {
		return nil, err
	}
	e.raw = raw
	e.describe(o)
	e.keep(o)
	return e, nil
}

// at is the entry under another revision: a state that was last seen then.
func (e *entry) at(rev int64) *entry {
	return &entry{res: e.res, key: e.key, rev: rev, value: e.value, raw: e.raw, suffix: versionField(rev), labels: e.labels, fields: e.fields, terms: e.terms}
}

// object is the decoded object: shared, not to be changed. It is the same one as long as
// anybody holds it; later ones are equal to it.
func (e *entry) object() api.Object {
	if o := e.alive(); o != nil {
		return o
	}
	o, _, err := e.decode()
	if err != nil {
		// It was encoded here, or decoded before: these bytes cannot fail to decode.
		panic(err)
	}
	return e.keep(o)
}

// alive is the object if somebody holds it.
func (e *entry) alive() api.Object {
	d := e.decoded.Load()
	if d == nil {
		return nil
	}
	if d.held != nil {
		return d.held
	}
	if p := d.weak.Value(); p != nil {
		return reflect.NewAt(e.res.Type, unsafe.Pointer(p)).Interface().(api.Object)
	}
	return nil
}

// keep makes an object the entry's, unless it has one by now, and returns the entry's.
func (e *entry) keep(o api.Object) api.Object {
	d := &decoded{}
	if t := reflect.TypeOf(o); e.res.Type != nil && t.Kind() == reflect.Pointer && t.Elem() == e.res.Type {
		// The type is known, so the pointer alone leads back to the object.
		d.weak = weak.Make((*byte)(reflect.ValueOf(o).UnsafePointer()))
	} else {
		d.held = o
	}
	for {
		had := e.decoded.Load()
		if had != nil {
			if other := e.alive(); other != nil {
				return other
			}
		}
		if e.decoded.CompareAndSwap(had, d) {
			objects.keep(o, len(e.value))
			return o
		}
	}
}

func (e *entry) decode() (api.Object, []byte, error) {
	o, raw, err := decodeStored(e.res, e.value)
	if err != nil {
		return nil, nil, err
	}
	// Objects that an older version wrote lack the defaults of later fields.
	if e.res.Default != nil {
		e.res.Default(o)
	}
	o.GetObjectKind().SetGroupVersionKind(e.res.GVK)
	if e.rev != 0 {
		o.SetResourceVersion(strconv.FormatInt(e.rev, 10))
	}
	return o, raw, nil
}

// JSON is the object as JSON, with kind and apiVersion first and no newline.
func (e *entry) JSON() ([]byte, error) {
	if p := e.json.Load(); p != nil {
		p.use()
		return p.bytes, nil
	}
	b, err := marshalJSON(e.object())
	if err != nil {
		return nil, err
	}
	encodings.keep(e, b)
	return b, nil
}

// itemJSON is what follows the opening brace of the object as an item of a list,
// where kind and apiVersion are left out.
func (e *entry) itemJSON() ([]byte, error) {
	b, err := e.JSON()
	if err != nil {
		return nil, err
	}
	if e.res.Type != nil {
		if rest, ok := bytes.CutPrefix(b, typeMetaPrefix(e.res)); ok && len(rest) > 0 && rest[0] != '}' {
			return rest, nil
		}
	}
	return b[1:], nil
}

func typeMetaPrefix(r *api.Resource) []byte {
	return []byte(`{"kind":"` + r.GVK.Kind + `","apiVersion":"` + r.GVK.GroupVersion().String() + `",`)
}

// marshalJSON is encoding/json as Kubernetes uses it: HTML characters are escaped, no newline at the end.
func marshalJSON(o any) ([]byte, error) { return json.Marshal(o) }
