// Package managedfields keeps account of who set which field of an object
// (metadata.managedFields), and carries out server-side apply.
//
// Update is on the path of every write: it compares Go structs along the
// structure of their type (internal/api/schema) and changes only the entries that
// the difference touches. Apply is rarer and uses structured-merge-diff; the tests
// hold Update against that library, which is the reference.
//
// Invariants: an object handed in as old is never changed; entries that a change
// does not touch keep their very bytes; a change that alters no field leaves
// managedFields as they were.
//
// Read set.go, then diff.go, then update.go and apply.go.
package managedfields

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// set is a set of field paths as a tree: a node stands for the path that leads to it.
type set struct {
	member   bool
	children []child // by element
}

// child is one step of a path: "f:name", `k:{"name":"x"}` or `v:"x"`.
type child struct {
	element string
	set     *set
}

func (s *set) empty() bool { return s == nil || !s.member && len(s.children) == 0 }

func (s *set) find(element string) (int, bool) {
	return slices.BinarySearchFunc(s.children, element, func(c child, e string) int { return strings.Compare(c.element, e) })
}

// without takes the members of o out of s. changed tells whether there were any.
func (s *set) without(o *set) (changed bool) {
	if s == nil || o == nil {
		return false
	}
	if s.member && o.member {
		s.member, changed = false, true
	}
	i, j := 0, 0
	gone := false
	for i < len(s.children) && j < len(o.children) {
		switch c := strings.Compare(s.children[i].element, o.children[j].element); {
		case c < 0:
			i++
		case c > 0:
			j++
		default:
			if s.children[i].set.without(o.children[j].set) {
				changed = true
				gone = gone || s.children[i].set.empty()
			}
			i++
			j++
		}
	}
	if gone {
		s.children = slices.DeleteFunc(s.children, func(c child) bool { return c.set.empty() })
	}
	return changed
}

// union puts the members of o into s; it may take over parts of o.
func (s *set) union(o *set) {
	if o == nil {
		return
	}
	s.member = s.member || o.member
	if len(s.children) == 0 {
		s.children = o.children
		return
	}
	out := make([]child, 0, len(s.children)+len(o.children))
	i, j := 0, 0
	for i < len(s.children) && j < len(o.children) {
		switch c := strings.Compare(s.children[i].element, o.children[j].element); {
		case c < 0:
			out = append(out, s.children[i])
			i++
		case c > 0:
			out = append(out, o.children[j])
			j++
		default:
			s.children[i].set.union(o.children[j].set)
			out = append(out, s.children[i])
			i++
			j++
		}
	}
	s.children = append(append(out, s.children[i:]...), o.children[j:]...)
}

// touches tells whether something of o may be in the encoded set. It may say yes too often.
func touches(raw []byte, o *set) bool {
	for _, c := range o.children {
		if containsKey(raw, c.element) {
			return true
		}
	}
	return false
}

func containsKey(raw []byte, element string) bool {
	key := []byte(element)
	for at := 0; ; {
		i := bytes.Index(raw[at:], key)
		if i < 0 {
			return false
		}
		i += at
		if i > 0 && raw[i-1] == '"' && i+len(element) < len(raw) && raw[i+len(element)] == '"' {
			return true
		}
		at = i + 1
	}
}

// encode appends the set as FieldsV1 JSON.
func (s *set) encode(b []byte, root bool) []byte {
	b = append(b, '{')
	first := true
	if s.member && !root && len(s.children) > 0 {
		b, first = append(b, `".":{}`...), false
	}
	for _, c := range s.children {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendQuoted(b, c.element), ':')
		b = c.set.encode(b, false)
	}
	return append(b, '}')
}

const hex = "0123456789abcdef"

// appendQuoted appends a JSON string.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\t':
				b = append(b, '\\', 't')
			case '\r':
				b = append(b, '\\', 'r')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(append(b, s[start:i]...), `\ufffd`...)
			i++
			start = i
			continue
		}
		i += n
	}
	return append(append(b, s[start:]...), '"')
}

var errFields = errors.New("not a set of fields in the form of FieldsV1")

// maxDepth bounds the nesting that is accepted from outside.
const maxDepth = 256

// decode reads FieldsV1 JSON. Elements of kinds that we do not know are dropped.
func decode(raw []byte) (*set, error) {
	if !utf8.Valid(raw) {
		return nil, errFields
	}
	d := decoder{b: raw, text: string(raw)}
	s, err := d.set(0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.at != len(d.b) {
		return nil, errFields
	}
	s.member = false
	return s, nil
}

type decoder struct {
	b    []byte
	at   int
	text string // b once more: elements without escapes are parts of it
	sets []set  // to be handed out
}

// newSet hands out sets from one allocation.
func (d *decoder) newSet() *set {
	if len(d.sets) == 0 {
		d.sets = make([]set, max(8, len(d.b)/32))
	}
	s := &d.sets[0]
	d.sets = d.sets[1:]
	return s
}

func (d *decoder) space() {
	for d.at < len(d.b) && (d.b[d.at] == ' ' || d.b[d.at] == '\n' || d.b[d.at] == '\t' || d.b[d.at] == '\r') {
		d.at++
	}
}

func (d *decoder) take(c byte) bool {
	d.space()
	if d.at < len(d.b) && d.b[d.at] == c {
		d.at++
		return true
	}
	return false
}

func (d *decoder) set(depth int) (*set, error) {
	if depth > maxDepth || !d.take('{') {
		return nil, errFields
	}
	s := d.newSet()
	sorted := true
	for first := true; !d.take('}'); first = false {
		if !first && !d.take(',') {
			return nil, errFields
		}
		element, err := d.element()
		if err != nil || !d.take(':') {
			return nil, errFields
		}
		inner, err := d.set(depth + 1)
		if err != nil {
			return nil, err
		}
		if element == "." {
			s.member = true
			continue
		}
		if len(element) < 2 || element[1] != ':' {
			return nil, errFields
		}
		if strings.IndexByte("fkvi", element[0]) < 0 {
			continue
		}
		if n := len(s.children); n > 0 && s.children[n-1].element >= element {
			sorted = false
		}
		s.children = append(s.children, child{element, inner})
	}
	if !sorted {
		slices.SortStableFunc(s.children, func(a, b child) int { return strings.Compare(a.element, b.element) })
		s.children = joined(s.children)
	}
	if len(s.children) == 0 {
		s.member = true
	}
	return s, nil
}

// element reads a string. Elements that carry values are brought into one form, so that they compare as text.
func (d *decoder) element() (string, error) {
	d.space()
	if d.at >= len(d.b) || d.b[d.at] != '"' {
		return "", errFields
	}
	start, escaped := d.at+1, false
	for d.at = start; d.at < len(d.b); d.at++ {
		switch d.b[d.at] {
		case '\\':
			escaped = true
			d.at++
		case '"':
			end := d.at
			d.at++
			if !escaped {
				return d.text[start:end], nil
			}
			return unquote(d.text[start:end])
		}
	}
	return "", errFields
}

// unquote resolves the escapes of a JSON string. Quotes and backslashes are what keys have.
func unquote(s string) (string, error) {
	var space [256]byte
	b, plain := space[:0], true
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		if i++; i == len(s) {
			return "", errFields
		}
		switch s[i] {
		case '"':
			b = append(b, '"')
		case '\\', '/', 'b', 'f', 'n', 'r', 't', 'u':
			plain = false
		default:
			return "", errFields
		}
	}
	if plain {
		return string(b), nil
	}
	var out string
	if err := json.Unmarshal([]byte(`"`+s+`"`), &out); err != nil {
		return "", errFields
	}
	return canonical(out)
}

func canonical(element string) (string, error) {
	// What has no escapes inside was written by us, or the same way.
	if len(element) < 2 || element[0] != 'k' && element[0] != 'v' || !strings.Contains(element, `\`) {
		return element, nil
	}
	var v any
	dec := json.NewDecoder(strings.NewReader(element[2:]))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return "", errFields
	}
	return element[:2] + string(appendValue(nil, v)), nil
}

// appendValue appends decoded JSON in the form that path elements have.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendQuoted(b, v)
	case map[string]any:
		b = append(b, '{')
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, k), ':')
			b = appendValue(b, v[k])
		}
		return append(b, '}')
	}
	out, err := json.Marshal(v)
	if err != nil {
		return b
	}
	return append(b, out...)
}
