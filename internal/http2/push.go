package http2

// Push is Write and Flush for who serves many streams at once and must wait for none of
// them: it appends p to what is pending, if the client's windows and the bounds of the
// connection allow it at once, and tells whether it did. Kick must follow, once for all
// that was pushed. Other goroutines than the handler's may push, as long as the handler
// neither writes nor returns meanwhile; its headers must be out.
func (w *response) Push(p []byte) bool {
	c, st := w.st.c, w.st
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(p) == 0:
		return true
	case st.gone != nil || c.dead != nil || !w.sent || w.ended || w.head || st.localDone || w.declared >= 0 || w.held != nil:
		return false
	case len(p) > turn || len(p) > st.window || len(p) > c.window || c.windows.blocked(st) || c.rooms.blocked(st) || c.pendingLen()+len(p) > maxPending/2:
		return false
	}
	w.written += int64(len(p))
	return c.data(st, p, nil, false) == nil
}

// Line tells which connection the response goes to: who pushes to many kicks once for each.
func (w *response) Line() uint64 { return w.st.c.number }

// Kick has what was pushed written: at once, as far as that can be done without waiting, and
// by somebody else where it cannot.
func (w *response) Kick() {
	c := w.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push()
}
