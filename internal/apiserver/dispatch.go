package apiserver

import "strings"

// watchers are a cache's, by what they wait for, so that a write costs what it concerns: a
// thousand kubelets that watch the pods of their nodes are two look-ups, and so are the watchers of
// a thousand namespaces.
type watchers struct {
	count   int
	root    string                      // the prefix of all keys of the kind
	byPlace map[string]set              // a prefix: a namespace, or root
	byKey   map[string]set              // one object
	byExact map[fieldRef]map[string]set // one value of a field
	pumped  []*watcher                  // those that pump is to be told of
}

// set is some watchers. It is gone through for each write: a slice is quicker at that than a map.
type set []*watcher

func newWatchers(root string) watchers {
	return watchers{root: root, byPlace: map[string]set{}, byKey: map[string]set{}, byExact: map[fieldRef]map[string]set{}}
}

// of is where a watcher is kept, and under which key.
func (ws *watchers) of(w *watcher) (sets map[string]set, key string) {
	switch {
	case w.sel.key != "":
		return ws.byKey, w.sel.key
	case w.exact == noField:
		return ws.byPlace, w.sel.prefix
	}
	sets = ws.byExact[w.exact]
	if sets == nil {
		sets = map[string]set{}
		ws.byExact[w.exact] = sets
	}
	return sets, w.exactValue
}

func (ws *watchers) add(w *watcher) {
	ws.count++
	sets, key := ws.of(w)
	w.place = len(sets[key])
	sets[key] = append(sets[key], w)
}

func (ws *watchers) drop(w *watcher) {
	ws.count--
	sets, key := ws.of(w)
	s := sets[key]
	last := len(s) - 1
	s[w.place] = s[last]
	s[w.place].place = w.place
	s[last] = nil
	if sets[key] = s[:last]; last == 0 {
		delete(sets, key)
	}
	if w.exact != noField && len(sets) == 0 {
		delete(ws.byExact, w.exact)
	}
}

// each calls f for all of them.
func (ws *watchers) each(f func(*watcher)) {
	tell := func(sets map[string]set) {
		for _, s := range sets {
			for _, w := range s {
				f(w)
			}
		}
	}
	tell(ws.byPlace)
	tell(ws.byKey)
	for _, sets := range ws.byExact {
		tell(sets)
	}
}

// wake tells those that a change may concern. cache.mu is held for writing; the pump is told later (tellPump).
func (ws *watchers) wake(ch *change, seq int64) {
	key := ch.key()
	ws.tell(ws.byPlace[ws.root], ch, seq, (*watcher).minds)
	if place := key[:strings.LastIndexByte(key, '/')+1]; len(place) > len(ws.root) {
		ws.tell(ws.byPlace[place], ch, seq, (*watcher).minds)
	}
	if len(ws.byKey) > 0 {
		ws.tell(ws.byKey[key], ch, seq, (*watcher).minds)
	}
	for f, sets := range ws.byExact {
		if ch.now != nil {
			ws.tell(sets[f.of(ch.now)], ch, seq, (*watcher).concerns)
		}
		if ch.old != nil && (ch.now == nil || f.of(ch.now) != f.of(ch.old)) {
			ws.tell(sets[f.of(ch.old)], ch, seq, (*watcher).concerns)
		}
	}
}

// tell tells those of some watchers that a change may concern.
func (ws *watchers) tell(s set, ch *change, seq int64, concerns func(*watcher, *change) bool) {
	for _, w := range s {
		if w.pending == none && concerns(w, ch) && w.wake(seq, ch.rev) {
			ws.pumped = append(ws.pumped, w)
		}
	}
}

// tellPump tells the pump, once, of all for which there is something to send. cache.mu is held for writing.
func (ws *watchers) tellPump() {
	if len(ws.pumped) == 0 {
		return
	}
	ws.pumped[0].pump.add(ws.pumped)
	clear(ws.pumped)
	ws.pumped = ws.pumped[:0]
}
