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

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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

	// from is the version of the stored form, where somebody outside must be asked to convert it.
	from string

	labels labelPairs
	fields []unique.Handle[string]
	terms  []term

	decoded atomic.Pointer[decoded]
	json    atomic.Pointer[encoding]

	tied bool // client.Tied
}

// decoded leads to an entry's object while anybody else holds it.
type decoded struct {
	weak weak.Pointer[byte]
	held api.Object // what is costly to make again stays: somebody outside converted it
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
	} else if e.value, err = customValue(r, o); err == nil && r.Custom != nil && !r.Custom.Stored {
		// What is answered is what is read later: what conversions lose is lost at once. And
		// nothing is written that could not be read in the version of the writer.
		if r.Custom.Remote {
			e.from = r.Custom.Main.GVK.Version
		}
		o, _, err = e.decode()
	}
	if err != nil {
		return nil, err
	}
	e.describe(o)
	e.keep(o)
	return e, nil
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
	if r.Custom != nil && r.Custom.Remote {
		// Whoever wants the object has it converted, not the feed.
		o, err := storedObject(r, value)
		if err != nil {
			return nil, err
		}
		if version := o.GroupVersionKind().Version; version != r.GVK.Version {
			e.from = version
			e.describe(o)
			return e, nil
		}
	}
	o, raw, err := e.decode()
	if err != nil {
		return nil, err
	}
	e.raw = raw
	e.describe(o)
	e.keep(o)
	return e, nil
}

// customValue is the stored form of an object that has no Go type: JSON in the stored version.
func customValue(r *api.Resource, o api.Object) ([]byte, error) {
	if r.Custom != nil && !r.Custom.Stored {
		var err error
		if o, err = r.Custom.Convert(o.DeepCopyObject().(api.Object), r.Custom.Main.GVK.Version); err != nil {
			return nil, err
		}
		if err := r.Custom.Main.Custom.Prune(o); err != nil {
			return nil, err
		}
		o.SetResourceVersion("")
	}
	return json.Marshal(o)
}

// at is the entry under another revision: a state that was last seen then.
func (e *entry) at(rev int64) *entry {
	at := &entry{res: e.res, key: e.key, rev: rev, value: e.value, raw: e.raw, suffix: versionField(rev), from: e.from, labels: e.labels, fields: e.fields, terms: e.terms, tied: e.tied}
	if had := e.alive(); e.from != "" && had != nil {
		o := had.DeepCopyObject().(api.Object)
		o.SetResourceVersion(strconv.FormatInt(rev, 10))
		at.keep(o)
	}
	return at
}

// object is the decoded object: shared, not to be changed. It is the same one as long as
// anybody holds it; later ones are equal to it.
func (e *entry) object() api.Object {
	if o := e.alive(); o != nil {
		return o
	}
	if e.from != "" {
		if err := convertEntries([]*entry{e}); err != nil {
			panic(&unconverted{err})
		}
		return e.alive()
	}
	o, _, err := e.decode()
	if err != nil {
		// It was encoded here, or decoded before: these bytes cannot fail to decode. What can
		// fail is a conversion by somebody outside.
		panic(&unconverted{err})
	}
	return e.keep(o)
}

// unconverted is what object panics with when an object cannot be had in the version that is
// wanted. Nearly every reader of objects reads kinds with one version, or with conversions that
// cannot fail: those few whom it concerns recover (pipeline.go, local.go).
type unconverted struct{ err error }

func (u *unconverted) Error() string { return u.err.Error() }
func (u *unconverted) Unwrap() error { return u.err }

// recoverUnconverted makes an error of the panic.
func recoverUnconverted(err *error) {
	switch p := recover().(type) {
	case nil:
	case *unconverted:
		*err = p.err
	default:
		panic(p)
	}
}

// decodeAnew forgets the object that the entry was made of: what is answered now is what
// is read later, when what protobuf does not tell is lost.
func (e *entry) decodeAnew() {
	if e.raw != nil {
		e.decoded.Store(nil)
	}
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
		if e.res.Type == nil {
			return (*unstructured.Unstructured)(unsafe.Pointer(p))
		}
		return reflect.NewAt(e.res.Type, unsafe.Pointer(p)).Interface().(api.Object)
	}
	return nil
}

// keep makes an object the entry's, unless it has one by now, and returns the entry's.
func (e *entry) keep(o api.Object) api.Object {
	d := &decoded{}
	// The type is known, so the pointer alone leads back to the object.
	if u, ok := o.(*unstructured.Unstructured); ok && e.res.Type == nil && e.from == "" {
		d.weak = weak.Make((*byte)(unsafe.Pointer(u)))
	} else if t := reflect.TypeOf(o); e.res.Type != nil && t.Kind() == reflect.Pointer && t.Elem() == e.res.Type {
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
	if e.res.Default != nil && e.res.Custom == nil {
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
