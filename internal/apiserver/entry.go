package apiserver

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync/atomic"

	"github.com/skiff-k8s/skiff/internal/api"
)

// entry is one object at one revision, with its encodings: made when first asked
// for, once, and shared by every reader and watcher. An entry is immutable once
// the cache has published it.
type entry struct {
	res *api.Resource
	key string
	rev int64
	obj api.Object
	// value is the stored form, raw the object's protobuf message inside it (nil when
	// the kind is stored as JSON), suffix what gives raw its resourceVersion.
	value  []byte
	raw    []byte
	suffix []byte

	json atomic.Pointer[[]byte]
}

// newEntry encodes an object that is about to be written. The object is the
// entry's from here on.
func newEntry(r *api.Resource, key string, o api.Object) (*entry, error) {
	o.SetResourceVersion("")
	e := &entry{res: r, key: key, obj: o}
	o.GetObjectKind().SetGroupVersionKind(r.GVK)
	var err error
	if m, ok := any(o).(protoMessage); ok && r.Type != nil {
		e.value, e.raw, err = envelope(r.GVK, m)
	} else {
		e.value, err = json.Marshal(o)
	}
	return e, err
}

// publish gives the entry its revision, just before others can see it.
func (e *entry) publish(rev int64) {
	e.rev = rev
	e.suffix = versionField(rev)
	e.obj.SetResourceVersion(strconv.FormatInt(rev, 10))
}

// readEntry decodes a stored value.
func readEntry(r *api.Resource, key string, value []byte, rev int64) (*entry, error) {
	o, raw, err := decodeStored(r, value)
	if err != nil {
		return nil, err
	}
	// Objects that an older version wrote lack the defaults of later fields.
	if r.Default != nil {
		r.Default(o)
	}
	o.GetObjectKind().SetGroupVersionKind(r.GVK)
	e := &entry{res: r, key: key, obj: o, value: value, raw: raw}
	e.publish(rev)
	return e, nil
}

// JSON is the object as JSON, with kind and apiVersion first and no newline.
func (e *entry) JSON() ([]byte, error) {
	if p := e.json.Load(); p != nil {
		return *p, nil
	}
	b, err := marshalJSON(e.obj)
	if err != nil {
		return nil, err
	}
	e.json.Store(&b)
	return b, nil
}

// itemJSON is the object as an item of a list, where kind and apiVersion are left out.
func (e *entry) itemJSON() ([]byte, error) {
	b, err := e.JSON()
	if err != nil || e.res.Type == nil {
		return b, err
	}
	head := typeMetaPrefix(e.res)
	if rest, ok := bytes.CutPrefix(b, head); ok && len(rest) > 0 && rest[0] != '}' {
		// One byte of the head is left to become the opening brace.
		item := b[len(head)-1:]
		out := make([]byte, len(item))
		copy(out, item)
		out[0] = '{'
		return out, nil
	}
	return b, nil
}

func typeMetaPrefix(r *api.Resource) []byte {
	return []byte(`{"kind":"` + r.GVK.Kind + `","apiVersion":"` + r.GVK.GroupVersion().String() + `",`)
}

// marshalJSON is encoding/json as Kubernetes uses it: HTML characters are escaped, no newline at the end.
func marshalJSON(o any) ([]byte, error) { return json.Marshal(o) }
