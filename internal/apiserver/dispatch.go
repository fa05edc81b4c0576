package apiserver

// watchers are a cache's, by what they wait for, so that a write costs what it concerns: a
// thousand kubelets that watch the pods of their nodes are two look-ups.
type watchers struct {
	count   int
	others  map[*watcher]struct{}
	byKey   map[string]map[*watcher]struct{}              // one object
	byExact map[fieldRef]map[string]map[*watcher]struct{} // one value of a field
}

func newWatchers() watchers {
	return watchers{others: map[*watcher]struct{}{}, byKey: map[string]map[*watcher]struct{}{}, byExact: map[fieldRef]map[string]map[*watcher]struct{}{}}
}

func (ws *watchers) add(w *watcher) {
	ws.count++
	switch {
	case w.sel.key != "":
		into(ws.byKey, w.sel.key, w)
	case w.exact != noField:
		if ws.byExact[w.exact] == nil {
			ws.byExact[w.exact] = map[string]map[*watcher]struct{}{}
		}
		into(ws.byExact[w.exact], w.exactValue, w)
	default:
		ws.others[w] = struct{}{}
	}
}

func into(m map[string]map[*watcher]struct{}, k string, w *watcher) {
	if m[k] == nil {
		m[k] = map[*watcher]struct{}{}
	}
	m[k][w] = struct{}{}
}

func (ws *watchers) drop(w *watcher) {
	ws.count--
	switch {
	case w.sel.key != "":
		outOf(ws.byKey, w.sel.key, w)
	case w.exact != noField:
		if outOf(ws.byExact[w.exact], w.exactValue, w); len(ws.byExact[w.exact]) == 0 {
			delete(ws.byExact, w.exact)
		}
	default:
		delete(ws.others, w)
	}
}

func outOf(m map[string]map[*watcher]struct{}, k string, w *watcher) {
	if delete(m[k], w); len(m[k]) == 0 {
		delete(m, k)
	}
}

// each calls f for all of them.
func (ws *watchers) each(f func(*watcher)) {
	tell := func(set map[*watcher]struct{}) {
		for w := range set {
			f(w)
		}
	}
	tell(ws.others)
	for _, set := range ws.byKey {
		tell(set)
	}
	for _, values := range ws.byExact {
		for _, set := range values {
			tell(set)
		}
	}
}

// wake tells those that a change may concern. cache.mu is held for writing.
func (ws *watchers) wake(ch *change, seq int64) {
	tell := func(set map[*watcher]struct{}) {
		for w := range set {
			if w.pending == none && w.concerns(ch) {
				w.wake(seq, ch.rev)
			}
		}
	}
	tell(ws.others)
	if len(ws.byKey) > 0 {
		tell(ws.byKey[ch.key()])
	}
	for f, values := range ws.byExact {
		if ch.now != nil {
			tell(values[f.of(ch.now)])
		}
		if ch.old != nil && (ch.now == nil || f.of(ch.now) != f.of(ch.old)) {
			tell(values[f.of(ch.old)])
		}
	}
}
