package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	kjson "sigs.k8s.io/json"

	"github.com/skiff-k8s/skiff/internal/api"
)

// bookmarkEvery is how often an idle watch that asked for bookmarks gets one.
const bookmarkEvery = time.Minute

// serveWatch streams events until the client or its time is up.
func (s *Server) serveWatch(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	q := r.URL.Query()
	q.Set("watch", "true")
	o, err := parseListOptions(res, x.ns, x.name, q)
	if err != nil {
		return err
	}
	c := s.cache(res)
	if c == nil {
		return pathNotFound() // it was there a moment ago
	}
	if x.accept.media == mediaYAML {
		return notAcceptable(mediaJSON+";stream=watch", mediaProtobuf+";stream=watch", mediaCBORSequence)
	}
	if o.timeout == 0 {
		o.timeout = 30*time.Minute + rand.N(30*time.Minute)
	}
	st := &stream{s: s, w: w, x: x, res: res, include: includeObject(r), flush: http.NewResponseController(w), end: time.NewTimer(o.timeout)}
	defer st.end.Stop()
	st.count = s.eventCount(x)
	// The answer begins once the watch stands: whoever has seen its head sees all that happens from then on.
	b, err := s.beginWatch(r.Context(), c, &o)
	st.stall.begin(st.flush)
	defer st.stall.end()
	st.begin()
	st.stall.rest()
	if err != nil {
		st.fail(err)
		return nil
	}
	wt := b.watcher
	defer wt.close()
	if err := st.initial(b, &o); err != nil {
		st.fail(err)
		return nil
	}
	if st.send() == nil {
		s.leaveFlow(x) // it stands: from here on it costs what happens
		st.follow(r.Context(), wt, o.bookmarks)
	}
	return nil
}

// beginning is where a watch begins: with what is there, if the client does not ask for
// what happens after a revision.
type beginning struct {
	watcher *watcher
	all     bool
	initial []*entry // if all
	rev     int64    // that initial certainly has
}

func (s *Server) beginWatch(ctx context.Context, c *cache, o *listOptions) (b beginning, err error) {
	defer recoverUnconverted(&err)
	all := o.rev <= 0
	if o.sendInitial != nil {
		all = *o.sendInitial
	}
	if !all {
		if o.rev <= 0 {
			o.rev = s.feed.applied.Load()
		}
		b.watcher, err = c.watchFrom(o.sel, o.rev)
		return b, err
	}
	if err = s.await(ctx, o.rev); err != nil {
		return b, err
	}
	b.all = true
	// The revision first: what it names is then certainly in what is sent.
	b.rev = s.feed.applied.Load()
	b.initial, b.watcher = c.watchAll(o.sel)
	return b, nil
}

// initial sends what a watch begins with, as ADDED.
func (st *stream) initial(b beginning, o *listOptions) (err error) {
	defer recoverUnconverted(&err)
	if !b.all {
		return nil
	}
	entries, err := o.sel.show(b.initial)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := st.event(watch.Added, e); err != nil {
			return err
		}
	}
	if o.sendInitial != nil && o.bookmarks {
		return st.bookmark(b.rev, true)
	}
	return nil
}

// stream writes watch events in the form that was negotiated.
type stream struct {
	// The handler holds mu while it is at work, the pump while it sends. What the pump looks at for every
	// event is together: it comes by when none of this is in the processor's cache.
	mu      sync.Mutex
	over    bool   // the handler is done: the response is not to be touched
	pushing bool   // the pump is at work, which waits for nobody
	plain   bool   // see isPlain
	failed  error  // what the pump ran into; the handler ends the watch
	out     pusher // nil: only the handler sends
	res     *api.Resource
	media   string // that was asked for
	buf     []byte

	s       *Server
	w       http.ResponseWriter
	x       *exchange
	include metav1.IncludeObjectPolicy
	flush   *http.ResponseController
	headed  bool // the heads of a table are out
	end     *time.Timer
	stall   stall
	count   eventCount
	head    struct {
		bytes     []byte
		of, whole int
	}
}

// protobuf tells that events are protobuf messages; tables have none.
func (st *stream) protobuf() bool {
	return st.x.accept.media == mediaProtobuf && (st.x.accept.as == "" || st.partial())
}

// partial tells that only metadata is asked for.
func (st *stream) partial() bool {
	return st.x.accept.as == "PartialObjectMetadata" || st.x.accept.as == "PartialObjectMetadataList"
}

func (st *stream) begin() {
	media := mediaJSON
	switch {
	case st.protobuf():
		media = mediaProtobuf + ";stream=watch"
	case st.x.accept.media == mediaCBOR:
		media = mediaCBORSequence
	}
	st.s.headers(st.w, st.x, media)
	st.w.WriteHeader(http.StatusOK)
	// The client must see that the watch stands, also when nothing happens.
	st.flush.Flush()
}

// follow sends what happens until the client goes, its time is up, or the watch fails. While
// it waits, the pump may send.
func (st *stream) follow(ctx context.Context, wt *watcher, bookmarks bool) {
	var tick <-chan time.Time
	if bookmarks {
		t := time.NewTicker(bookmarkEvery)
		defer t.Stop()
		tick = t.C
	}
	st.mu.Lock()
	defer func() {
		st.over = true
		st.mu.Unlock()
	}()
	if st.res.Custom == nil || !st.res.Custom.Remote {
		if st.out = pusherOf(st.w); st.out != nil {
			st.plain, st.media = st.isPlain(wt), st.x.accept.media
			wt.usePump(st.s.pump, st)
		}
	}
	for why := woken; ; {
		// The revision first: all of it is told when nothing is left.
		rev := st.s.feed.applied.Load()
		if !st.tell(ctx, wt, bookmarks) {
			return
		}
		if (why == ticked || why == ended) && bookmarks && (st.bookmark(max(rev, wt.from), false) != nil || st.send() != nil) || why == ended {
			return // whoever comes back goes on from here
		}
		st.mu.Unlock()
		select {
		case <-wt.woken:
			why = woken
		case <-tick:
			why = ticked
		case <-st.end.C:
			why = ended
		case <-st.s.drain.c:
			why = ended
		case <-ctx.Done():
			why = gone
		}
		st.mu.Lock()
		if why == gone {
			return
		}
	}
}

// Why a watch's handler looks around.
const (
	woken = iota
	ticked
	ended
	gone
)

// tell sends what there is to tell. Without end, it tells whether to go on.
func (st *stream) tell(ctx context.Context, wt *watcher, bookmarks bool) bool {
	for {
		if st.failed != nil {
			st.fail(st.failed)
			return false
		}
		events, err := wt.ready(ctx)
		if err == errRetired {
			return false
		}
		if err != nil {
			st.fail(err)
			return false
		}
		for _, t := range events {
			if err := st.event(t.kind, t.e); err != nil {
				st.fail(err)
				return false
			}
		}
		if st.send() != nil {
			return false
		}
		if len(events) == 0 {
			return true
		}
		select {
		case <-st.end.C: // a busy watch ends as well
		case <-st.s.drain.c:
		default:
			continue
		}
		if bookmarks && st.bookmark(max(wt.after, wt.from), false) == nil {
			st.send()
		}
		return false
	}
}

// send writes out what was gathered.
func (st *stream) send() error {
	if len(st.buf) == 0 {
		return nil
	}
	st.stall.watch()
	defer st.stall.rest()
	_, err := st.w.Write(st.buf)
	st.buf = st.buf[:0]
	if cap(st.buf) > 1<<20 {
		st.buf = nil
	}
	if err != nil {
		return err
	}
	return st.flush.Flush()
}

func (st *stream) event(kind watch.EventType, e *entry) (err error) {
	defer recoverUnconverted(&err)
	if len(st.buf) > 256<<10 && !st.pushing {
		if err := st.send(); err != nil {
			return err
		}
	}
	before := len(st.buf)
	defer func() { st.count.add(len(st.buf)-before, 1) }()
	if v := st.x.version; v != nil && st.x.accept.as == "" {
		o, err := v.Show(e.object())
		if err != nil {
			return err
		}
		return st.loose(kind, o)
	}
	if st.protobuf() && st.partial() {
		return st.protoObject(kind, partialOf(e.object(), st.x.accept))
	}
	if st.protobuf() && e.raw != nil {
		head, size := st.protoHead(len(e.raw) + len(e.suffix))
		b := st.protoEvent(string(kind), size)
		b = append(append(append(b, head...), e.raw...), e.suffix...)
		st.buf = append(b, 0x1a, 0, 0x22, 0)
		return nil
	}
	if st.x.accept.media == mediaCBOR && st.x.accept.as == "" {
		return st.cborEvent(string(kind), e.object())
	}
	b, err := st.body(e)
	if err != nil {
		return err
	}
	st.jsonEvent(string(kind), b)
	return nil
}

func (st *stream) cborEvent(kind string, o any) error {
	b, err := encodeCBOR(cborEvent{kind, o})
	st.buf = append(st.buf, b...)
	return err
}

// body is the object of an event as JSON, in the form asked for.
func (st *stream) body(e *entry) ([]byte, error) {
	switch st.x.accept.as {
	case "Table":
		t, err := tableOf(st.res, []*entry{e}, revText(e.rev), st.x.accept, st.include, !st.headed)
		if err == nil {
			err = st.x.showRows(t, []*entry{e}, st.include)
		}
		if err != nil {
			return nil, err
		}
		st.headed = true
		return marshalJSON(t)
	case "PartialObjectMetadata", "PartialObjectMetadataList":
		return marshalJSON(partialOf(e.object(), st.x.accept))
	}
	return e.JSON()
}

func (st *stream) jsonEvent(kind string, object []byte) {
	if st.x.accept.media == mediaCBOR {
		// Tables and partial objects are made as JSON; few ask for them in CBOR.
		var v any
		if kjson.UnmarshalCaseSensitivePreserveInts(object, &v) == nil && st.cborEvent(kind, v) == nil {
			return
		}
	}
	st.buf = append(st.buf, `{"type":"`...)
	st.buf = append(st.buf, kind...)
	st.buf = append(st.buf, `","object":`...)
	st.buf = append(st.buf, object...)
	st.buf = append(st.buf, "}\n"...)
}

// protoHead is the start of an object's envelope, and the size of the whole. Events are mostly of one size.
func (st *stream) protoHead(size int) ([]byte, int) {
	if h := &st.head; h.of != size || h.bytes == nil {
		h.of = size
		h.bytes, h.whole = protoHead(st.res.GVK, size)
	}
	return st.head.bytes, st.head.whole
}

// protoEvent is what is gathered with the start of a length-delimited metav1.WatchEvent, whose raw object of size bytes follows.
func (st *stream) protoEvent(kind string, size int) []byte {
	raw := 1 + varintLen(size) + size
	total := 2 + len(kind) + 1 + varintLen(raw) + raw
	b := append(st.buf, byte(total>>24), byte(total>>16), byte(total>>8), byte(total))
	b = append(b, 0x0a, byte(len(kind)))
	b = append(b, kind...)
	b = appendVarint(append(b, 0x12), raw)
	return appendVarint(append(b, 0x0a), size)
}

// bookmark tells that everything up to rev was sent; end marks the end of the initial events.
func (st *stream) bookmark(rev int64, end bool) error {
	o, gvk := st.res.New(), st.res.GVK
	if v := st.x.version; v != nil {
		o, gvk = v.New(), v.GVK
	}
	o.GetObjectKind().SetGroupVersionKind(gvk)
	o.SetResourceVersion(revText(rev))
	if end {
		o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return st.loose(watch.Bookmark, o)
}

// protoObject sends an object as the message that it has.
func (st *stream) protoObject(kind watch.EventType, o runtime.Object) error {
	m, ok := o.(protoMessage)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("%T is no protobuf message", o))
	}
	b, _, err := envelope(o.GetObjectKind().GroupVersionKind(), m)
	if err != nil {
		return err
	}
	st.buf = append(st.protoEvent(string(kind), len(b)), b...)
	return nil
}

// loose sends an object that is in no cache.
func (st *stream) loose(kind watch.EventType, o runtime.Object) error {
	if a, ok := o.(api.Object); ok && st.protobuf() && st.partial() {
		o = partialOf(a, st.x.accept)
	}
	if st.protobuf() {
		return st.protoObject(kind, o)
	}
	if a, ok := o.(api.Object); ok && st.x.accept.as != "" {
		if st.x.accept.as == "Table" {
			return st.tableBookmark(kind, a)
		}
		b, err := marshalJSON(partialOf(a, st.x.accept))
		if err != nil {
			return err
		}
		st.jsonEvent(string(kind), b)
		return nil
	}
	if st.x.accept.media == mediaCBOR {
		return st.cborEvent(string(kind), o)
	}
	b, err := marshalJSON(o)
	if err != nil {
		return err
	}
	st.jsonEvent(string(kind), b)
	return nil
}

// tableBookmark is a table whose one row has no cells to speak of, only the object that carries the revision.
func (st *stream) tableBookmark(kind watch.EventType, o api.Object) error {
	t := &metav1.Table{TypeMeta: metav1.TypeMeta{APIVersion: st.x.accept.group(), Kind: "Table"}, ListMeta: metav1.ListMeta{ResourceVersion: o.GetResourceVersion()}}
	raw, err := marshalJSON(partialOf(o, st.x.accept))
	if err != nil {
		return err
	}
	columns := st.res.Columns
	if len(columns) == 0 {
		columns = api.DefaultColumns
	}
	cells := make([]any, len(columns))
	for i := range cells {
		cells[i] = ""
	}
	t.Rows = []metav1.TableRow{{Cells: cells, Object: runtime.RawExtension{Raw: raw}}}
	if !st.headed {
		t.ColumnDefinitions = columnHeads(columns)
		st.headed = true
	}
	b, err := marshalJSON(t)
	if err != nil {
		return err
	}
	st.jsonEvent(string(kind), b)
	return nil
}

// fail ends the stream with an ERROR event.
func (st *stream) fail(err error) {
	var carried apierrors.APIStatus
	if !errors.As(err, &carried) {
		carried = apierrors.NewInternalError(err)
	}
	status := carried.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	if st.protobuf() {
		if err := st.loose(watch.Error, &status); err != nil {
			return
		}
	} else if st.x.accept.media == mediaCBOR {
		if err := st.cborEvent(string(watch.Error), &status); err != nil {
			return
		}
	} else if b, err := json.Marshal(&status); err == nil {
		st.jsonEvent(string(watch.Error), b)
	}
	st.send()
}
