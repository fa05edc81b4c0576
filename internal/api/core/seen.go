package core

// seen is a set of texts, which costs nothing while there are few.
type seen struct {
	few  [16]string
	n    int
	many map[string]bool
}

// has tells whether the text is there.
func (s *seen) has(text string) bool {
	for i := range s.n {
		if s.few[i] == text {
			return true
		}
	}
	return s.many[text]
}

// add notes the text, and tells whether it was there already.
func (s *seen) add(text string) bool {
	if s.has(text) {
		return true
	}
	if s.n < len(s.few) {
		s.few[s.n] = text
		s.n++
		return false
	}
	if s.many == nil {
		s.many = map[string]bool{}
	}
	s.many[text] = true
	return false
}
