package core

// seen is a set, which costs nothing while there is little in it, and little when there is much:
// what a request may name twice is never looked for in the list itself.
type seen[T comparable] struct {
	few  [16]T
	n    int
	many map[T]bool
}

// has tells whether the value is there.
func (s *seen[T]) has(v T) bool {
	for i := range s.n {
		if s.few[i] == v {
			return true
		}
	}
	return s.many[v]
}

// add notes the value, and tells whether it was there already.
func (s *seen[T]) add(v T) bool {
	if s.has(v) {
		return true
	}
	if s.n < len(s.few) {
		s.few[s.n] = v
		s.n++
		return false
	}
	if s.many == nil {
		s.many = map[T]bool{}
	}
	s.many[v] = true
	return false
}
