package apiserver

import "encoding/json"

// jsonText is JSON in the making. Documents are written, not built as trees: the
// core group's has a megabyte, and nobody needs it as anything but text.
type jsonText []byte

func (b *jsonText) raw(s string) { *b = append(*b, s...) }

// comma separates from what stands before, unless that opens something.
func (b *jsonText) comma() {
	if n := len(*b); n > 0 {
		switch (*b)[n-1] {
		case '{', '[', ':', ',':
		default:
			*b = append(*b, ',')
		}
	}
}

func (b *jsonText) open(c byte) {
	b.comma()
	*b = append(*b, c)
}

func (b *jsonText) close(c byte) { *b = append(*b, c) }

func (b *jsonText) key(k string) {
	b.text(k)
	*b = append(*b, ':')
}

func (b *jsonText) text(s string) {
	b.comma()
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(s)
			*b = append(*b, quoted...)
			return
		}
	}
	*b = append(*b, '"')
	*b = append(*b, s...)
	*b = append(*b, '"')
}

func (b *jsonText) pair(k, v string) {
	b.key(k)
	b.text(v)
}

func (b *jsonText) texts(k string, l []string) {
	b.key(k)
	b.open('[')
	for _, s := range l {
		b.text(s)
	}
	b.close(']')
}

// flag writes what is true; false is left out.
func (b *jsonText) flag(k string, on bool) {
	if on {
		b.key(k)
		b.raw("true")
	}
}

// object writes a member whose value is an object.
func (b *jsonText) object(k string, members func()) {
	b.key(k)
	b.open('{')
	members()
	b.close('}')
}
