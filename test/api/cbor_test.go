package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	kjson "sigs.k8s.io/json"
)

// Transcripts show CBOR as the JSON that it stands for.

func toCBOR(t *testing.T, text string) []byte {
	t.Helper()
	var v any
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(text), &v); err != nil {
		return []byte(text) // what is not JSON is sent as it is
	}
	b, err := direct.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fromCBOR shows each item of a sequence on a line, with sorted keys.
func fromCBOR(t *testing.T, b []byte) string {
	t.Helper()
	items := cbor.NewFramer().NewFrameReader(io.NopCloser(bytes.NewReader(b)))
	var out []byte
	buf := make([]byte, len(b)+1)
	for {
		n, err := items.Read(buf)
		if errors.Is(err, io.EOF) {
			return string(out)
		}
		var v any
		if err == nil {
			err = direct.Unmarshal(buf[:n], &v)
		}
		j, jerr := json.Marshal(v)
		if err != nil || jerr != nil {
			t.Fatal(err, jerr)
		}
		out = append(append(out, j...), '\n')
	}
}
