package apiserver

import (
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CBOR is spoken where a client asks for it. Nothing is stored or kept in it: it
// is made from the decoded objects, and what comes in is read as JSON is.

const (
	mediaCBOR = "application/cbor"
	// mediaCBORSequence is what watches send: items one after the other.
	mediaCBORSequence = "application/cbor-seq"
)

// cborMark is how clients recognise CBOR: the tag of RFC 8949, section 3.4.6.
var cborMark = []byte{0xd9, 0xd9, 0xf7}

func encodeCBOR(o any) ([]byte, error) {
	b, err := direct.Marshal(o)
	if err != nil {
		return nil, err
	}
	return append(cborMark[:len(cborMark):len(cborMark)], b...), nil
}

// cborToJSON turns a body into JSON. Byte strings become base64 text, as in JSON.
func cborToJSON(b []byte) ([]byte, error) {
	var v any
	if err := direct.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	return marshalJSON(v)
}

// cborList is a list with items of any kind.
type cborList struct {
	Kind       string          `json:"kind"`
	APIVersion string          `json:"apiVersion"`
	Metadata   metav1.ListMeta `json:"metadata"`
	Items      []any           `json:"items"`
}

// cborEvent is a watch event.
type cborEvent struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}
