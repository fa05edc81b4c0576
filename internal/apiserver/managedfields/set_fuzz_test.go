package managedfields

import (
	"bytes"
	"testing"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// FuzzSet: what is read as a set of fields is written as something that is read as
// the same set, and is the set that the reference reads, where it reads one.
func FuzzSet(f *testing.F) {
	for _, s := range []string{`{}`, `{"f:a":{}}`, `{"f:metadata":{"f:labels":{".":{},"f:x":{}}},"f:spec":{"f:c":{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}},"f:l":{"v:\"a\"":{},"v:7":{},"i:0":{}}}}`,
		`{"f:b":{},"f:a":{"f:x":{}},"f:a":{"f:y":{}}}`, `{"k:{\"b\":1,\"a\":\"é\"}":{}}`, `{"f:\u0061":{}}`, `{"x:":{}}`, `{"f:a":7}`, `{"f:a":{}}x`, `{".":{}}`, `[`, `{"f:`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := decode(raw)
		if err != nil {
			return
		}
		once := s.encode(nil, true)
		again, err := decode(once)
		if err != nil {
			t.Fatalf("%q was written as %q, which is not read: %v", raw, once, err)
		}
		if twice := again.encode(nil, true); !bytes.Equal(once, twice) {
			t.Fatalf("%q was written as %q and then as %q", raw, once, twice)
		}
		var mine, theirs fieldpath.Set
		if theirs.FromJSON(bytes.NewReader(raw)) != nil {
			return
		}
		if err := mine.FromJSON(bytes.NewReader(once)); err != nil {
			t.Fatalf("%q was written as %q, which the reference does not read: %v", raw, once, err)
		}
		if !mine.Equals(&theirs) {
			t.Fatalf("%q is %v, and as written here, %q, %v", raw, theirs.String(), once, mine.String())
		}
	})
}
