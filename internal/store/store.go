// Package store is the revisioned key-value store under the API server: a
// sequence of revisions over opaque bytes.
//
// Every accepted transaction gets the next revision; all keys that it writes
// carry that one revision. A transaction is acknowledged after it is durable
// (unless it asks not to wait) and after every later Get, Range and Watch can
// see it. Watchers see the transactions of their range whole, in order, without
// gaps or repeats.
//
// The backends are in mem and disk; storetest is the suite that each of
// them passes. Read this file first.
package store

import (
	"context"
	"errors"
)

// The closed list of errors that a Store returns, wrapped or bare; test with
// errors.Is. Anything else is an I/O failure of the backend.
var (
	// ErrConflict: a comparison of the transaction failed; nothing was written.
	ErrConflict = errors.New("store: compare failed")
	// ErrCompacted: the revision asked for is older than the history kept.
	ErrCompacted = errors.New("store: revision compacted")
	// ErrFuture: the revision asked for has not happened yet.
	ErrFuture = errors.New("store: revision in the future")
	// ErrClosed: the store was closed, or failed for good and says why in the
	// wrapping text (a full disk refuses writes but keeps reads; see disk).
	ErrClosed = errors.New("store: closed")
	// ErrFull: the disk has no room for this write; deletes are still admitted.
	ErrFull = errors.New("store: no space left")
)

// KV is one key at one revision. Callers must not change Value: it is shared.
type KV struct {
	Key    string
	Value  []byte
	Create int64 // revision at which the key came to be
	Mod    int64 // revision of the last write to the key
	// Ref is whatever the writer handed over with the value (see Op.Ref), nil
	// when the value was read back from disk or came over the wire.
	Ref any
}

// Op writes one key: a put, or a delete when Delete is set.
type Op struct {
	Key    string
	Value  []byte // owned by the store after the call
	Delete bool
	// Ref is an opaque companion of the value, typically its decoded form. A
	// backend in this process keeps it beside the value and hands it to readers
	// and watchers, so that they need not decode; nobody may rely on it.
	Ref any
}

// Compare holds when the key was last written at revision Mod; 0 means that the
// key does not exist.
type Compare struct {
	Key string
	Mod int64
}

// Txn is an atomic step: when every comparison holds, all operations happen, in
// order, at one new revision. A key is written at most once in a transaction.
type Txn struct {
	If   []Compare
	Then []Op
	// Lazy acknowledges before the write is on disk: for leases and events only.
	Lazy bool
}

// Page is the answer to a Range.
type Page struct {
	KVs      []KV  // ascending by key
	Revision int64 // of the store: what was read is the state at this revision
	More     bool  // the limit cut the answer
	Left     int64 // how many keys the limit left out (exact when More)
}

// Event is one write of one key. A delete has a KV with Key and Mod only; Prev
// is the state before (nil when the key did not exist, or when its history is
// no longer kept).
type Event struct {
	KV      KV
	Deleted bool
	Prev    *KV
}

// Batch is all that one transaction wrote in the watched range, or, with no
// events, word that the watcher has seen everything up to Revision.
type Batch struct {
	Revision int64
	Events   []Event
}

// Watch delivers batches until its context ends or it fails.
type Watch interface {
	// Next blocks for the next batches (at least one, all that are ready).
	// It returns ErrCompacted when the watcher fell behind the history kept,
	// ErrClosed when the store closed, or the context's error. The slice is
	// valid until the next call; the events in it are shared and immutable.
	Next(ctx context.Context) ([]Batch, error)
	// Ready is Next for who does not wait: what there is, which may be nothing. Who calls it
	// does not call Next.
	Ready() ([]Batch, error)
	// Tell has f called when, after a Ready that left nothing, there is something, or the store
	// ended: at once, by whoever made it so. f must neither wait nor call the store. It is set before the first Ready.
	Tell(f func())
	// Close ends the watch and lets go of what it holds. It may be called at any time,
	// from any goroutine, more than once.
	Close()
}

// Store is implemented by the backends; all methods may be called from any goroutine.
type Store interface {
	// Get reads one key at revision rev (0: now). A key that does not exist at that
	// revision gives a KV with Mod 0. The second result is the revision read at.
	Get(ctx context.Context, key string, rev int64) (KV, int64, error)
	// Range reads the keys in [from, to) at revision rev (0: now), at most limit
	// of them (0: all).
	Range(ctx context.Context, from, to string, limit int, rev int64) (Page, error)
	// Commit runs a transaction and returns its revision. With ErrConflict the
	// revision returned is the store's current one.
	Commit(ctx context.Context, t Txn) (int64, error)
	// Watch delivers all writes to keys in [from, to) after revision rev
	// (0: after now). ErrCompacted when that history is gone, ErrFuture when rev
	// is beyond the current revision.
	Watch(ctx context.Context, from, to string, rev int64) (Watch, error)
	// History returns what was written to keys in [from, to) after revision rev and up to
	// revision until, the oldest first: without waiting, and a part of it at a time. Each batch
	// is whole. The second result is the revision up to which it looked: go on from there.
	// ErrCompacted when that history is gone, ErrFuture when rev or until has not happened yet.
	History(ctx context.Context, from, to string, rev, until int64) ([]Batch, int64, error)
	// Compact forgets history before rev: reads at older revisions fail with
	// ErrCompacted. The state at rev and later stays. Compacting again at or below
	// the compacted revision does nothing.
	Compact(ctx context.Context, rev int64) error
	// Revision is the last committed revision and the oldest still readable.
	Revision() (current, compacted int64)
	// Close syncs and closes. Calls in flight and later ones return ErrClosed.
	Close() error
}

// PrefixEnd returns the key right after all keys that start with prefix.
func PrefixEnd(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return "\xff\xff\xff\xff"
}
