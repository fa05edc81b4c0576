package custom

// tidy tells whether sets and maps among the lists hold what they should. It is sure of a
// yes only.
func (n *node) tidy(x any) bool {
	if n == nil || n.below&hasLists == 0 {
		return true
	}
	switch x := x.(type) {
	case map[string]any:
		for key, val := range x {
			if !n.under(key).tidy(val) {
				return false
			}
		}
	case []any:
		if n.list != nil && !n.list.tidy(x) {
			return false
		}
		for _, item := range x {
			if !n.items.tidy(item) {
				return false
			}
		}
	}
	return true
}

// manyItems is from where on looking at every pair takes longer than a map.
const manyItems = 16

func (l *listKind) tidy(items []any) bool {
	if l.keys != nil {
		for _, item := range items {
			if _, ok := item.(map[string]any); !ok {
				return false
			}
		}
	}
	if len(items) <= 1 {
		return true
	}
	if len(items) > manyItems && len(l.keys) <= 1 {
		return l.tidyMany(items)
	}
	for i := range items {
		for j := range i {
			if !l.differ(items[i], items[j]) {
				return false
			}
		}
	}
	return true
}

// differ is sure of values that differ: scalars of which one is missing or not like the other.
func (l *listKind) differ(a, b any) bool {
	if l.keys == nil {
		return scalar(a) && scalar(b) && a != b
	}
	for _, k := range l.keys {
		p, ok := a.(map[string]any)[k]
		q, has := b.(map[string]any)[k]
		if !scalar(p) || !scalar(q) {
			return false
		}
		if ok != has || p != q {
			return true
		}
	}
	return false
}

func (l *listKind) tidyMany(items []any) bool {
	seen := make(map[any]struct{}, len(items))
	for _, item := range items {
		if len(l.keys) == 1 {
			v, ok := item.(map[string]any)[l.keys[0]]
			if !ok {
				return false
			}
			item = v
		}
		if !scalar(item) {
			return false
		}
		seen[item] = struct{}{}
	}
	return len(seen) == len(items)
}

func scalar(x any) bool {
	switch x.(type) {
	case string, int64, bool, nil:
		return true
	}
	return false
}
