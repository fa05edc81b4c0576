package apiserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Objects are stored as kube-apiserver stores them: the four bytes "k8s\0" and a
// runtime.Unknown message that carries the kind and the object's own message,
// without its resourceVersion (that is the revision of the write).

var protoMagic = []byte("k8s\x00")

// protoMessage is what every generated API type offers.
type protoMessage interface {
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
	Unmarshal([]byte) error
}

// envelope wraps the object's message: it returns the whole and where in it the raw message is.
func envelope(gvk schema.GroupVersionKind, m protoMessage) (whole, raw []byte, err error) {
	apiVersion := gvk.GroupVersion().String()
	meta := protowire.SizeTag(1) + protowire.SizeBytes(len(apiVersion)) + protowire.SizeTag(2) + protowire.SizeBytes(len(gvk.Kind))
	size := m.Size()
	head := len(protoMagic) + 1 + protowire.SizeBytes(meta) + 1 + protowire.SizeVarint(uint64(size))
	b := make([]byte, 0, head+size+4)
	b = append(b, protoMagic...)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(meta))
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, apiVersion)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendString(b, gvk.Kind)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	at := len(b)
	b = b[:at+size]
	if _, err := m.MarshalToSizedBuffer(b[at:]); err != nil {
		return nil, nil, err
	}
	// contentEncoding and contentType, empty, as upstream writes them.
	b = append(b, 0x1a, 0, 0x22, 0)
	return b, b[at : at+size : at+size], nil
}

var errEnvelope = errors.New("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")

// open finds the kind and the raw message in an envelope; raw points into b.
func open(b []byte) (gvk schema.GroupVersionKind, raw []byte, err error) {
	if len(b) < 4 || string(b[:4]) != string(protoMagic) {
		return gvk, nil, errEnvelope
	}
	err = fieldsOf(b[4:], func(n protowire.Number, v []byte) error {
		switch n {
		case 1:
			return fieldsOf(v, func(n protowire.Number, v []byte) error {
				switch n {
				case 1:
					gv, err := schema.ParseGroupVersion(string(v))
					gvk.Group, gvk.Version = gv.Group, gv.Version
					return err
				case 2:
					gvk.Kind = string(v)
				}
				return nil
			})
		case 2:
			raw = v
		}
		return nil
	})
	return gvk, raw, err
}

// fieldsOf calls f for every length-delimited field of a message.
func fieldsOf(b []byte, f func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errEnvelope
		}
		b = b[size:]
		if t != protowire.BytesType {
			size = protowire.ConsumeFieldValue(n, t, b)
			if size < 0 {
				return errEnvelope
			}
			b = b[size:]
			continue
		}
		v, size := protowire.ConsumeBytes(b)
		if size < 0 {
			return errEnvelope
		}
		if err := f(n, v); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// versionField is what has to follow a stored message to give it its
// resourceVersion: metadata (field 1 of every kind) once more, with that alone
// in it. Repeated messages merge, so the stored bytes serve as they are.
func versionField(rev int64) []byte {
	v := strconv.AppendInt(nil, rev, 10)
	b := make([]byte, 0, len(v)+4)
	b = append(b, 0x0a, byte(len(v)+2), 0x32, byte(len(v)))
	return append(b, v...)
}

// decodeStored reads a stored value. Values that are not protobuf are JSON, as
// custom resources are.
func decodeStored(r *api.Resource, value []byte) (o api.Object, raw []byte, err error) {
	o = r.New()
	if len(value) > 0 && value[0] == '{' {
		if err := kjson.UnmarshalCaseSensitivePreserveInts(value, o); err != nil {
			return nil, nil, fmt.Errorf("decode %s: %w", r.GVR.Resource, err)
		}
		if r.Custom != nil {
			if o, err = takeCustom(r, o); err != nil {
				return nil, nil, err
			}
		}
		return o, nil, nil
	}
	_, raw, err = open(value)
	if err == nil {
		err = any(o).(protoMessage).Unmarshal(raw)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", r.GVR.Resource, err)
	}
	return o, raw, nil
}

// takeCustom brings a stored object of a custom kind into shape, by the version that it is
// stored in, and converts it to the version of the row.
func takeCustom(r *api.Resource, o api.Object) (api.Object, error) {
	version := o.GetObjectKind().GroupVersionKind().Version
	if version == r.GVK.Version {
		return o, r.Custom.Take(o)
	}
	if from := r.Custom.Versions[version]; from != nil {
		if err := from.Custom.Take(o); err != nil {
			return nil, err
		}
	}
	o, err := r.Custom.Convert(o, r.GVK.Version)
	if err != nil {
		return nil, err
	}
	return o, r.Custom.Prune(o)
}

// frame puts the length before a protobuf watch event, as streaming clients expect.
func frame(b []byte) []byte {
	out := make([]byte, 4, 4+len(b))
	binary.BigEndian.PutUint32(out, uint32(len(b)))
	return append(out, b...)
}
