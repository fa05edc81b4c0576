package aggregate

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// documents are what a backend tells of itself in OpenAPI, fetched when somebody
// asks and taken for current for a while. What was told once holds while the backend is away.
type documents struct {
	mu sync.Mutex
	v2 document[*part]
	v3 document[string] // where its document is; empty: it has none
}

// document is one of them, as it was last understood.
type document[T any] struct {
	stale atomic.Bool // it may have changed, whatever the time
	at    time.Time   // when it was last asked for
	etag  string
	known bool
	value T
}

// expire has the documents asked for again by whoever wants them next.
func (d *documents) expire() {
	d.v2.stale.Store(true)
	d.v3.stale.Store(true)
}

// openAPIWait is how long whoever asks for OpenAPI waits for a backend.
const openAPIWait = 10 * time.Second

// refresh asks for a document if it is time to; read understands the answer (nil: there is no such document).
func refresh[T any](ctx context.Context, b *backend, d *document[T], path string, read func(answer []byte) (T, error)) {
	now := b.a.Now()
	st := b.state.Load()
	if !st.available || st.link.err != nil || !d.stale.Load() && !d.at.IsZero() && now.Sub(d.at) < openAPITime {
		return
	}
	d.at = now
	d.stale.Store(false)
	host, err := b.a.host(ctx, st)
	if err != nil {
		b.a.Log.Warn("OpenAPI of a backend", "apiservice", b.name, "path", path, "err", err)
		return
	}
	header := http.Header{"Accept": {"application/json"}}
	if d.etag != "" {
		header["If-None-Match"] = []string{d.etag}
	}
	f, err := st.link.fetch(ctx, openAPIWait, reader, &url.URL{Scheme: "https", Host: host, Path: path}, header)
	switch {
	case err != nil:
	case f.code == http.StatusNotModified:
		return
	case f.code == http.StatusNotFound:
		d.value, err = read(nil)
		d.etag, d.known = "", true
	case f.code == http.StatusOK:
		var value T
		if value, err = read(f.body); err == nil {
			d.value, d.etag, d.known = value, f.header.Get("Etag"), true
		}
	default:
		err = fmt.Errorf("status %d", f.code)
	}
	if err != nil {
		b.a.Log.Warn("OpenAPI of a backend", "apiservice", b.name, "path", path, "err", err)
	}
}

// partV2 is what the backend's OpenAPI v2 document says of its group version; nil when there is nothing.
func (b *backend) partV2(ctx context.Context) *part {
	b.docs.mu.Lock()
	defer b.docs.mu.Unlock()
	refresh(ctx, b, &b.docs.v2, "/openapi/v2", func(answer []byte) (*part, error) {
		if answer == nil {
			return nil, nil
		}
		return newPart(answer, b.groupVersionPath()+"/")
	})
	return b.docs.v2.value
}

// key is the name of the group version's document in the index of OpenAPI v3.
func (b *backend) key() string { return strings.TrimPrefix(b.groupVersionPath(), "/") }

// placeV3 is where the backend has the OpenAPI v3 document of its group version; empty: nowhere.
func (b *backend) placeV3(ctx context.Context) (place string, known bool) {
	b.docs.mu.Lock()
	defer b.docs.mu.Unlock()
	refresh(ctx, b, &b.docs.v3, "/openapi/v3", func(answer []byte) (string, error) {
		var index struct {
			Paths map[string]struct {
				ServerRelativeURL string `json:"serverRelativeURL"`
			} `json:"paths"`
		}
		if answer == nil {
			return "", nil
		}
		if err := json.Unmarshal(answer, &index); err != nil {
			return "", err
		}
		place := index.Paths[b.key()].ServerRelativeURL
		if place != "" && !strings.HasPrefix(place, "/openapi/v3/"+b.key()+"?") {
			return "", fmt.Errorf("the document is said to be at %q", place)
		}
		return place, nil
	})
	return b.docs.v3.value, b.docs.v3.known
}

// OpenAPIV3 are the OpenAPI v3 documents of the backends for the index: where each
// is on this server, by its key ("apis/metrics.k8s.io/v1beta1").
func (a *Aggregator) OpenAPIV3(ctx context.Context) map[string]string {
	places := gather(a.all(), func(b *backend) string {
		place, known := b.placeV3(ctx)
		if place == "" && known {
			if p := b.partV2(ctx); p != nil {
				place = "/openapi/v3/" + b.key() + "?hash=" + p.hash
			}
		}
		return place
	})
	out := map[string]string{}
	for i, b := range places.of {
		if places.got[i] != "" {
			out[b.key()] = places.got[i]
		}
	}
	return out
}

// OpenAPIV3Handler answers requests for /openapi/v3/ and the key of a backend's document; nil: it is nobody's.
// Requests are passed on to the backend, as those for its objects are; a backend
// that has no such documents has one made of its OpenAPI v2.
func (a *Aggregator) OpenAPIV3Handler(key string) http.Handler {
	for _, b := range *a.table.Load() {
		if b.key() == key {
			return http.HandlerFunc(b.serveV3)
		}
	}
	return nil
}

func (b *backend) serveV3(w http.ResponseWriter, r *http.Request) {
	place, known := b.placeV3(r.Context())
	if place != "" || !known {
		b.ServeHTTP(w, r)
		return
	}
	p := b.partV2(r.Context())
	if p == nil {
		http.NotFound(w, r)
		return
	}
	doc, err := p.asV3()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Etag", `"`+p.hash+`"`)
	h.Set("Vary", "Accept")
	if strings.Contains(r.Header.Get("If-None-Match"), p.hash) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/json")
	w.Write(doc)
}

// Documents are the OpenAPI v2 parts of the backends.
type Documents struct {
	// Tag changes when they do; empty: there are none.
	Tag   string
	parts []*part
}

// OpenAPIV2 returns the parts that belong into this server's OpenAPI v2 document. It
// asks backends only when what they told is older than a minute.
func (a *Aggregator) OpenAPIV2(ctx context.Context) *Documents {
	found := gather(a.all(), func(b *backend) *part { return b.partV2(ctx) })
	d := &Documents{}
	var tags []string
	for i, b := range found.of {
		if p := found.got[i]; p != nil {
			d.parts = append(d.parts, p)
			tags = append(tags, b.name+"="+p.hash)
		}
	}
	d.Tag = strings.Join(tags, " ")
	return d
}

type gathered[T any] struct {
	of  []*backend
	got []T
}

// gather asks all backends at once: one that is slow holds up nobody but the whole.
func gather[T any](of []*backend, f func(*backend) T) gathered[T] {
	g := gathered[T]{of: of, got: make([]T, len(of))}
	var wg sync.WaitGroup
	for i, b := range of {
		wg.Go(func() { g.got[i] = f(b) })
	}
	wg.Wait()
	return g
}

func hashOf(b []byte) string {
	sum := sha512.Sum512(b)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
