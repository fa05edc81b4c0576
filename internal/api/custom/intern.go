package custom

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
)

// key is everything that is in a node, as bytes. Children are in it by their numbers:
// equal ones are one node already.
func (b *builder) key(n *node) []byte {
	k := make([]byte, 0, 96)
	k = append(k, byte(n.types), byte(n.below))
	k = flags(k, n.nullable, n.preserve, n.embedded, n.extras, n.closed, n.limits != nil, n.list != nil)
	k = binary.AppendUvarint(k, b.ids[n.extra])
	k = binary.AppendUvarint(k, b.ids[n.items])
	k = binary.AppendUvarint(k, uint64(len(n.props)))
	for _, name := range slices.Sorted(maps.Keys(n.props)) {
		k = text(k, name)
		k = binary.AppendUvarint(k, b.ids[n.props[name]])
	}
	if n.list != nil {
		k = texts(k, n.list.keys)
	}
	k = value(k, n.fallback)
	if n.limits != nil {
		k = b.limitsKey(k, n.limits)
	}
	return k
}

func (b *builder) limitsKey(k []byte, l *limits) []byte {
	k = flags(k, l.unsure, l.exclusiveMinimum, l.exclusiveMaximum, l.pattern != nil)
	for _, n := range []int64{l.minLength, l.maxLength, l.minItems, l.maxItems, l.minProperties, l.maxProperties} {
		k = binary.AppendVarint(k, n)
	}
	for _, f := range []*float64{l.minimum, l.maximum, l.multipleOf} {
		k = flags(k, f != nil)
		if f != nil {
			k = binary.LittleEndian.AppendUint64(k, math.Float64bits(*f))
		}
	}
	k = text(k, l.format)
	if l.pattern != nil {
		k = text(k, l.pattern.String())
	}
	k = value(k, l.enum)
	k = texts(k, l.required)
	for _, set := range [][]*node{l.allOf, l.anyOf, l.oneOf, {l.not}} {
		k = binary.AppendUvarint(k, uint64(len(set)))
		for _, n := range set {
			k = binary.AppendUvarint(k, b.ids[n])
		}
	}
	return k
}

func flags(k []byte, set ...bool) []byte {
	var f byte
	for i, is := range set {
		if is {
			f |= 1 << i
		}
	}
	return append(k, f)
}

func text(k []byte, s string) []byte { return append(binary.AppendUvarint(k, uint64(len(s))), s...) }

func texts(k []byte, list []string) []byte {
	k = binary.AppendUvarint(k, uint64(len(list)))
	for _, s := range list {
		k = text(k, s)
	}
	return k
}

// value is a JSON value; 1 and 1.0 are two.
func value(k []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		k = binary.AppendUvarint(append(k, 'm'), uint64(len(v)))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			k = value(text(k, name), v[name])
		}
	case []any:
		k = binary.AppendUvarint(append(k, 'l'), uint64(len(v)))
		for _, item := range v {
			k = value(k, item)
		}
	default:
		k = text(k, fmt.Sprintf("%T %v", v, v))
	}
	return k
}
