package index

import (
	"sync/atomic"

	"github.com/skiff-k8s/skiff/internal/store"
)

// txnLog holds the transactions after revision base, one for each revision.
// It grows in chunks, so that a long one is never copied.
type txnLog struct {
	base   int64 // the revision before the first
	skip   int   // transactions of the first chunk that are gone
	count  int
	chunks []*chunkOfTxns
}

const chunkSize = 256

type chunkOfTxns [chunkSize]txn

// txn is the changes of a transaction, and the same as watchers see them: made by the first
// that asks and shared by all.
type txn struct {
	changes []change
	batch   atomic.Pointer[store.Batch]
}

// recent is how many transactions keep their batch, and how many of them keep
// the Ref of what they superseded. Those behind hold bytes only.
const recent = 1024

func (l *txnLog) push(changes []change) {
	at := l.skip + l.count
	if at == len(l.chunks)*chunkSize {
		l.chunks = append(l.chunks, new(chunkOfTxns))
	}
	l.chunks[at/chunkSize][at%chunkSize].changes = changes
	l.count++
	if l.count > recent {
		l.get(l.base + int64(l.count-recent)).age()
	}
}

// get is the transaction of a revision, which must be in the log.
func (l *txnLog) get(rev int64) *txn {
	at := l.skip + int(rev-l.base) - 1
	return &l.chunks[at/chunkSize][at%chunkSize]
}

// drop forgets the oldest.
func (l *txnLog) drop() {
	*l.get(l.base + 1) = txn{}
	l.base++
	l.count--
	l.skip++
	if l.skip == chunkSize {
		l.skip = 0
		l.chunks[0] = nil
		l.chunks = l.chunks[1:]
	}
}

func (t *txn) age() {
	t.batch.Store(nil)
	for i := range t.changes {
		if from := t.changes[i].from; from != nil {
			from.ref.Store(nil)
		}
	}
}

// shared is the batch of a transaction, whole.
func (t *txn) shared(rev int64) *store.Batch {
	if b := t.batch.Load(); b != nil {
		return b
	}
	b := t.cut(rev, func(string) bool { return true })
	t.batch.Store(&b)
	return &b
}

// cut is the batch with the events of some keys only.
func (t *txn) cut(rev int64, inside func(key string) bool) store.Batch {
	b := store.Batch{Revision: rev, Events: make([]store.Event, 0, len(t.changes))}
	for i := range t.changes {
		if inside(t.changes[i].key) {
			b.Events = append(b.Events, t.changes[i].event())
		}
	}
	return b
}
