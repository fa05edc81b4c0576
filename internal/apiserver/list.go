package apiserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1beta1 "k8s.io/apimachinery/pkg/apis/meta/v1beta1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// listOptions are the query parameters of lists and watches.
type listOptions struct {
	sel          selector
	limit        int
	cont         string
	rev          int64 // -1: none given
	match        metav1.ResourceVersionMatch
	bookmarks    bool
	sendInitial  *bool
	timeout      time.Duration
	hasSelection bool
	begun        int64 // when the first page was read, in Unix seconds; 0: this is it
}

func parseListOptions(r *api.Resource, ns, name string, q url.Values) (listOptions, error) {
	o := listOptions{rev: -1, cont: q.Get("continue"), match: metav1.ResourceVersionMatch(q.Get("resourceVersionMatch"))}
	var err error
	if v := q.Get("labelSelector"); v != "" {
		if o.sel.labels, err = labels.Parse(v); err != nil {
			return o, apierrors.NewBadRequest(err.Error())
		}
	}
	if v := q.Get("fieldSelector"); v != "" {
		if o.sel.fields, err = fields.ParseSelector(v); err != nil {
			return o, apierrors.NewBadRequest(err.Error())
		}
		if err := checkFields(r, o.sel.fields); err != nil {
			return o, err
		}
	}
	o.hasSelection = o.sel.labels != nil || o.sel.fields != nil
	if name != "" {
		if o.sel.fields != nil {
			if other, ok := o.sel.fields.RequiresExactMatch("metadata.name"); ok && other != name {
				return o, apierrors.NewBadRequest("fieldSelector metadata.name doesn't match requested name")
			}
		}
		byName := fields.OneTermEqualSelector("metadata.name", name)
		if o.sel.fields != nil {
			byName = fields.AndSelectors(byName, o.sel.fields)
		}
		o.sel.fields = byName
	}
	o.sel = newSelector(r, ns, o.sel.labels, o.sel.fields)
	o.sel.shown = r.Custom != nil && r.Custom.Remote
	if v := q.Get("limit"); q.Has("limit") {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return o, apierrors.NewBadRequest(err.Error())
		}
		o.limit = int(max(n, 0)) // compat: less than none is no limit
	}
	var unread error // of the revision, which counts for less than what does not go together
	if v := q.Get("resourceVersion"); v != "" {
		var rev uint64
		rev, unread = strconv.ParseUint(v, 10, 64)
		o.rev = int64(min(rev, math.MaxInt64))
		if unread != nil {
			unread = apierrors.NewBadRequest("invalid resource version: " + field.Invalid(field.NewPath("resourceVersion"), v, unread.Error()).Error())
			o.rev = 1
		}
	}
	if v := q.Get("timeoutSeconds"); q.Has("timeoutSeconds") {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return o, apierrors.NewBadRequest(err.Error())
		}
		o.timeout = secondsOf(n) // compat: a watch of less than no time is over at once
	}
	if o.bookmarks, err = boolParam(q, "allowWatchBookmarks"); err != nil {
		return o, err
	}
	if q.Has("sendInitialEvents") {
		b, err := boolParam(q, "sendInitialEvents")
		if err != nil {
			return o, err
		}
		o.sendInitial = &b
	}
	if err := o.check(q); err != nil {
		return o, err
	}
	return o, unread
}

func boolParam(q url.Values, name string) (bool, error) {
	// compat: what is there and neither "false" nor "0" is true, even nothing.
	v := q.Get(name)
	return q.Has(name) && !strings.EqualFold(v, "false") && v != "0", nil
}

// check refuses the combinations that Kubernetes refuses.
func (o *listOptions) check(q url.Values) error {
	var errs field.ErrorList
	if wantsWatch(q) {
		errs = o.checkWatch()
	} else {
		errs = o.checkList()
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(optionsKind("ListOptions"), "", errs)
	}
	return nil
}

var matchPath = field.NewPath("resourceVersionMatch")

func (o *listOptions) checkList() (errs field.ErrorList) {
	exact := o.match == metav1.ResourceVersionMatchExact
	if o.match != "" {
		if o.rev < 0 {
			errs = append(errs, field.Forbidden(matchPath, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
		}
		if o.cont != "" {
			errs = append(errs, field.Forbidden(matchPath, "resourceVersionMatch is forbidden when continue is provided"))
		}
		if !exact && o.match != metav1.ResourceVersionMatchNotOlderThan {
			errs = append(errs, field.NotSupported(matchPath, o.match, []string{string(metav1.ResourceVersionMatchExact), string(metav1.ResourceVersionMatchNotOlderThan), ""}))
		}
		if exact && o.rev == 0 {
			errs = append(errs, field.Forbidden(matchPath, `resourceVersionMatch "exact" is forbidden for resourceVersion "0"`))
		}
	}
	if o.sendInitial != nil {
		errs = append(errs, field.Forbidden(field.NewPath("sendInitialEvents"), "sendInitialEvents is forbidden for list"))
	}
	return errs
}

func (o *listOptions) checkWatch() (errs field.ErrorList) {
	notOlder := o.match == metav1.ResourceVersionMatchNotOlderThan
	if o.sendInitial != nil && !notOlder {
		errs = append(errs, field.Forbidden(matchPath, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
	}
	if o.match == "" {
		if o.cont != "" && o.sendInitial == nil && o.rev <= 0 {
			// compat: from now or from anywhere is a watch that begins with what there is.
			errs = append(errs, field.Forbidden(matchPath, "resourceVersionMatch is forbidden when continue is provided"))
		}
		return errs
	}
	if o.sendInitial == nil {
		errs = append(errs, field.Forbidden(matchPath, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
	}
	if !notOlder {
		errs = append(errs, field.NotSupported(matchPath, o.match, []string{string(metav1.ResourceVersionMatchNotOlderThan)}))
	}
	if o.cont != "" {
		errs = append(errs, field.Forbidden(matchPath, "resourceVersionMatch is forbidden when continue is provided"))
	}
	return errs
}

// continueToken says where a paged list goes on.
type continueToken struct {
	Version string `json:"v"`
	Rev     int64  `json:"rv"`
	Start   string `json:"start"`
	// Begun is when the list began, in seconds of Unix time.
	Begun int64 `json:"t,omitempty"`
}

// tokenLife is how long a list may take from its first page to its last.
//
// compat: the history is kept for longer, but clients rely on tokens that expire as
// etcd's do, which is compacted every five minutes.
const tokenLife = 5 * time.Minute

// page is a list's answer.
type page struct {
	entries []*entry
	rev     int64
	cont    string
	left    *int64
}

// list reads from the cache, or from the store's history where the client asks for a past revision.
func (s *Server) list(ctx context.Context, r *api.Resource, o listOptions) (*page, error) {
	if o.rev == 0 {
		// compat: who takes whatever is in the cache gets all of it; informers begin so.
		o.limit = 0
	}
	switch {
	case o.cont != "":
		start, rev, begun, err := decodeContinue(o.cont)
		if err != nil {
			return nil, apierrors.NewBadRequest("invalid continue token: " + err.Error())
		}
		if o.rev > 0 {
			return nil, apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
		}
		if rev < 0 {
			return s.listCached(ctx, r, o, o.sel.prefix+start)
		}
		if begun > 0 && s.Now().Sub(time.Unix(begun, 0)) > tokenLife {
			return nil, s.expired(o, o.sel.prefix+start)
		}
		o.begun = begun
		return s.listAt(ctx, r, o, o.sel.prefix+start, rev)
	case o.match == metav1.ResourceVersionMatchExact, o.rev > 0 && o.limit > 0 && o.match == "":
		if err := s.await(ctx, o.rev); err != nil {
			return nil, err
		}
		return s.listAt(ctx, r, o, o.sel.prefix, o.rev)
	case o.rev > 0:
		if err := s.await(ctx, o.rev); err != nil {
			return nil, err
		}
	}
	return s.listCached(ctx, r, o, "")
}

// decodeContinue reads a token: where in the prefix the list goes on, at which revision (below 0: now).
func decodeContinue(token string) (start string, rev, begun int64, err error) {
	var tok continueToken
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(b, &tok)
	}
	switch {
	case err != nil:
		return "", 0, 0, fmt.Errorf("continue key is not valid: %w", err)
	case tok.Version != "meta.k8s.io/v1":
		return "", 0, 0, fmt.Errorf("continue key is not valid: server does not recognize this encoded version %s", tok.Version)
	case tok.Rev == 0:
		return "", 0, 0, errors.New("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
	case tok.Start == "":
		return "", 0, 0, errors.New("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")
	}
	key := "/" + strings.TrimPrefix(tok.Start, "/")
	if path.Clean(key) != key {
		return "", 0, 0, fmt.Errorf("continue key is not valid: %s", tok.Start)
	}
	return key[1:], tok.Rev, tok.Begun, nil
}

// await returns when the cache has revision rev. A revision from the future is refused after a moment.
func (s *Server) await(ctx context.Context, rev int64) error {
	if s.feed.applied.Load() >= rev {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := s.feed.wait(short, rev)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return s.tooLarge(rev)
	}
	return err
}

func (s *Server) tooLarge(rev int64) error {
	e := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", rev, s.feed.applied.Load()), 1)
	e.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return e
}

func (s *Server) listCached(_ context.Context, r *api.Resource, o listOptions, from string) (*page, error) {
	// The revision first: what it names is then certainly in the snapshot.
	p := &page{rev: s.feed.applied.Load()}
	c := s.cache(r)
	if c == nil {
		return nil, pathNotFound()
	}
	tree := c.snapshot()
	if o.sel.shown && o.sel.picky() {
		var all []*entry
		scan(tree, &o.sel, from, func(e *entry) bool {
			all = append(all, e)
			return true
		})
		if err := convertEntries(all); err != nil {
			return nil, err
		}
	}
	var left int64
	scan(tree, &o.sel, from, func(e *entry) bool {
		if !o.sel.matches(e) {
			return true
		}
		if o.limit > 0 && len(p.entries) == o.limit {
			if left++; left == 1 {
				p.cont = s.continueFrom(&o, e.key, p.rev)
			}
			return !o.hasSelection
		}
		p.entries = append(p.entries, e)
		return true
	})
	if left > 0 && !o.hasSelection {
		p.left = &left
	}
	return p, nil
}

func (s *Server) continueFrom(o *listOptions, key string, rev int64) string {
	if o.begun == 0 {
		o.begun = s.Now().Unix()
	}
	b, _ := json.Marshal(continueToken{Version: "meta.k8s.io/v1", Rev: rev, Start: strings.TrimPrefix(key, o.sel.prefix), Begun: o.begun})
	return base64.RawURLEncoding.EncodeToString(b)
}

// serveList answers a list in the form that was negotiated.
func (s *Server) serveList(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource) error {
	o, err := parseListOptions(res, x.ns, x.name, r.URL.Query())
	if err != nil {
		return err
	}
	p, err := s.list(r.Context(), res, o)
	if err != nil {
		return err
	}
	return s.writePage(w, r, x, res, p)
}

// writePage answers with a list in the form that was negotiated.
func (s *Server) writePage(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource, p *page) error {
	if err := convertEntries(p.entries); err != nil {
		return err // before the answer begins
	}
	meta := metav1.ListMeta{Continue: p.cont, RemainingItemCount: p.left}
	if p.rev > 0 {
		meta.ResourceVersion = revText(p.rev)
	}
	switch x.accept.as {
	case "Table":
		t, err := tableOf(res, p.entries, meta.ResourceVersion, x.accept, includeObject(r), true)
		if err == nil {
			err = x.showRows(t, p.entries, includeObject(r))
		}
		if err != nil {
			return err
		}
		t.ListMeta = meta
		s.writeObject(w, r, x, http.StatusOK, t)
		return nil
	case "PartialObjectMetadata":
		return formless("you requested PartialObjectMetadata, but the requested object is a list (" + internalName(res, listKind(res)) + ")")
	case "PartialObjectMetadataList":
		is := metav1.TypeMeta{APIVersion: x.accept.group(), Kind: "PartialObjectMetadataList"}
		items := make([]metav1.PartialObjectMetadata, len(p.entries))
		for i, e := range p.entries {
			items[i] = *partialOf(e.object(), x.accept)
		}
		if x.accept.v == "v1beta1" {
			s.writeObject(w, r, x, http.StatusOK, &metav1beta1.PartialObjectMetadataList{TypeMeta: is, ListMeta: meta, Items: items})
		} else {
			s.writeObject(w, r, x, http.StatusOK, &metav1.PartialObjectMetadataList{TypeMeta: is, ListMeta: meta, Items: items})
		}
		return nil
	}
	if x.version != nil {
		return s.writeVersionList(w, r, x, meta, p.entries)
	}
	if x.accept.media == mediaProtobuf && res.Type != nil {
		s.writeProtoList(w, x, res, meta, p.entries)
		return nil
	}
	if x.accept.media == mediaCBOR {
		l := cborList{Kind: listKind(res), APIVersion: res.GVK.GroupVersion().String(), Metadata: meta, Items: make([]any, len(p.entries))}
		for i, e := range p.entries {
			l.Items[i] = e.object()
		}
		s.writeObject(w, r, x, http.StatusOK, l)
		return nil
	}
	return s.writeJSONList(w, r, x, res, meta, p.entries)
}

// writeProtoList streams the stored messages of the items: nothing is encoded anew.
func (s *Server) writeProtoList(w http.ResponseWriter, x *exchange, res *api.Resource, meta metav1.ListMeta, entries []*entry) {
	mb, _ := meta.Marshal()
	size := 1 + varintLen(len(mb)) + len(mb)
	for _, e := range entries {
		n := len(e.raw) + len(e.suffix)
		size += 1 + varintLen(n) + n
	}
	gvk := res.GVK
	gvk.Kind += "List"
	head, whole := protoHead(gvk, size)
	s.headers(w, x, mediaProtobuf)
	w.Header().Set("Content-Length", strconv.Itoa(whole))
	w.WriteHeader(http.StatusOK)
	out := newPieces(w)
	out.add(head)
	out.add(appendVarint([]byte{0x0a}, len(mb)))
	out.add(mb)
	var tag [11]byte
	for _, e := range entries {
		out.add(appendVarint(append(tag[:0], 0x12), len(e.raw)+len(e.suffix)))
		out.add(e.raw)
		out.add(e.suffix)
		if out.err != nil {
			return
		}
	}
	out.add(protoTail)
	out.flush()
}

func varintLen(n int) int { return len(appendVarint(nil, n)) }

func appendVarint(b []byte, n int) []byte {
	v := uint64(n)
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// listKind is the kind of lists, which definitions may choose.
func listKind(r *api.Resource) string {
	if r.Custom != nil {
		return r.NewList().GetObjectKind().GroupVersionKind().Kind
	}
	return r.GVK.Kind + "List"
}

// writeJSONList streams the items' shared encodings.
func (s *Server) writeJSONList(w http.ResponseWriter, r *http.Request, x *exchange, res *api.Resource, meta metav1.ListMeta, entries []*entry) error {
	mb, err := marshalJSON(meta)
	if err != nil {
		return err
	}
	head := fmt.Sprintf(`{"kind":"%s","apiVersion":"%s","metadata":%s,"items":[`, listKind(res), res.GVK.GroupVersion(), mb)
	// Readers by eye and YAML readers get it in one piece; the others as a stream.
	if x.accept.pretty || x.accept.media == mediaYAML {
		var all bytes.Buffer
		all.WriteString(head)
		if err := eachItem(entries, func(b []byte) error { all.Write(b); return nil }); err != nil {
			return err
		}
		all.WriteString("]}")
		s.writeJSON(w, x, http.StatusOK, all.Bytes())
		return nil
	}
	s.headers(w, x, mediaJSON)
	w.WriteHeader(http.StatusOK)
	out := newPieces(w)
	out.add([]byte(head))
	err = eachItem(entries, func(item []byte) error {
		out.add(item)
		return out.err
	})
	if err != nil {
		// The status line is out: all that is left is to break off.
		panic(http.ErrAbortHandler)
	}
	out.add([]byte("]}\n"))
	out.flush()
	return nil
}

// itemStart is what comes before an item's JSON: the first, the others.
var itemStart = [2][]byte{[]byte("{"), []byte(",{")}

func eachItem(entries []*entry, f func([]byte) error) error {
	for i, e := range entries {
		b, err := e.itemJSON()
		if err != nil {
			return err
		}
		if err := f(itemStart[min(i, 1)]); err != nil {
			return err
		}
		if err := f(b); err != nil {
			return err
		}
	}
	return nil
}
