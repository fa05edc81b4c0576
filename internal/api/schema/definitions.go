package schema

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"io"
	"slices"
	"strings"
)

//go:embed definitions.gz
var zipped []byte

// Refs is what references to definitions begin with.
const Refs = "#/components/schemas/"

// Definitions are the OpenAPI v3 schemas of all types by name. They are
// unpacked for the making of documents and let go of afterwards: nobody keeps one.
type Definitions struct {
	text []byte
	at   map[string][2]int
}

// Unpack reads the definitions.
func Unpack() (*Definitions, error) {
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	d := &Definitions{at: map[string][2]int{}}
	// The last four bytes are the size.
	d.text = make([]byte, binary.LittleEndian.Uint32(zipped[len(zipped)-4:]))
	if _, err = io.ReadFull(z, d.text); err != nil {
		return nil, err
	}
	for at := 0; at < len(d.text); {
		end := at + bytes.IndexByte(d.text[at:], '\n')
		tab := at + bytes.IndexByte(d.text[at:end], '\t')
		d.at[string(d.text[at:tab])] = [2]int{tab + 1, end}
		at = end + 1
	}
	return d, nil
}

// JSON is a schema; nil when there is none of that name.
func (d *Definitions) JSON(name string) []byte {
	at, ok := d.at[name]
	if !ok {
		return nil
	}
	return d.text[at[0]:at[1]:at[1]]
}

// Closure adds to the names all that their schemas refer to. The result is sorted.
func (d *Definitions) Closure(names []string) []string {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if seen[name] || d.at[name] == [2]int{} {
			return
		}
		seen[name] = true
		for _, ref := range References(d.JSON(name)) {
			visit(ref)
		}
	}
	for _, n := range names {
		visit(n)
	}
	out := make([]string, 0, len(seen))
	for n := range seen {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// References are the names that a schema refers to.
func References(b []byte) (out []string) {
	const mark = `"$ref":"` + Refs
	text := string(b)
	for {
		_, rest, ok := strings.Cut(text, mark)
		if !ok {
			return out
		}
		name, more, _ := strings.Cut(rest, `"`)
		out, text = append(out, name), more
	}
}
