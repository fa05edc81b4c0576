package managedfields

// joined makes one of sorted children with the same element: the last with
// anything below it counts, as structured-merge-diff has it.
func joined(in []child) []child {
	out := in[:0]
	for _, c := range in {
		last := len(out) - 1
		if last < 0 || out[last].element != c.element {
			out = append(out, c)
			continue
		}
		have := out[last].set
		have.member = have.member || c.set.member
		if len(c.set.children) > 0 {
			have.children = c.set.children
		}
	}
	return out
}
