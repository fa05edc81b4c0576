package apiserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/disk"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// serverOn runs a server on a store until stop is called, or the test ends.
func serverOn(t testing.TB, st store.Store) (s *Server, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := New(ctx, Options{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	c := s.Client(auth.System)
	if _, err := client.Get[*corev1.Namespace](ctx, c, "", "default"); err != nil {
		if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
			t.Fatal(err)
		}
	}
	return s, stop
}

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"v": value}}, Data: map[string]string{"v": value}}
}

// mess makes n random writes to a few objects.
func mess(t testing.TB, c client.Client, seed uint64, n int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range n {
		name, value := fmt.Sprintf("%d-%d", seed, rng.IntN(4)), string(rune('a'+rng.IntN(3)))
		_, err := client.Get[*corev1.ConfigMap](t.Context(), c, "default", name)
		switch {
		case err != nil:
			_, err = client.Create(t.Context(), c, configMap(name, value))
		case rng.IntN(3) == 0:
			err = client.Delete[*corev1.ConfigMap](t.Context(), c, "default", name, metav1.DeleteOptions{})
		default:
			_, err = client.Update(t.Context(), c, configMap(name, value))
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// wanted replays the store's history as a watcher with a label selector has to see it.
func wanted(t testing.TB, s *Server, sel labels.Selector, after int64) []string {
	r := all.For[*corev1.ConfigMap]()
	from, to := r.Prefix("default"), store.PrefixEnd(r.Prefix("default"))
	until := s.feed.applied.Load()
	_, oldest := s.Store.Revision()
	had := map[string]string{}
	var out []string
	for at := oldest; at < until; {
		bs, seen, err := s.Store.History(t.Context(), from, to, at, until)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bs {
			for _, ev := range b.Events {
				was, existed := had[ev.KV.Key]
				delete(had, ev.KV.Key)
				is := false
				if !ev.Deleted {
					e, err := readEntry(r, ev.KV.Key, ev.KV.Value, ev.KV.Mod)
					if err != nil {
						t.Fatal(err)
					}
					had[ev.KV.Key] = e.object().GetLabels()["v"]
					is = sel.Matches(labels.Set(e.object().GetLabels()))
				}
				matched := existed && sel.Matches(labels.Set{"v": was})
				kind := ""
				switch {
				case is && matched:
					kind = "MODIFIED"
				case is:
					kind = "ADDED"
				case matched:
					kind = "DELETED"
				}
				if kind != "" && b.Revision > after {
					out = append(out, fmt.Sprintf("%d %s %s", b.Revision, kind, ev.KV.Key[len(from):]))
				}
			}
		}
		at = seen
	}
	return out
}

// Watchers that begin at any revision, while others write and the cache keeps next to no
// events, see everything once and in order.
func TestWatchFromAnyRevision(t *testing.T) {
	s, _ := serverOn(t, mem.New())
	r := all.For[*corev1.ConfigMap]()
	s.cache(r).keep = 4
	c := s.Client(auth.System)
	mess(t, c, 1, 200)
	var writers, watchers sync.WaitGroup
	for seed := range uint64(3) {
		writers.Go(func() { mess(t, c, seed+2, 300) })
	}
	selectors := []labels.Selector{labels.Everything(), labels.SelectorFromSet(labels.Set{"v": "a"})}
	last := make(chan struct{})
	for i := range 12 {
		sel, after := selectors[i%2], int64(2+i*17)
		w, err := c.Watch(t.Context(), r, "default", client.Selector{Labels: sel}, after)
		if err != nil {
			t.Fatal(err)
		}
		watchers.Go(func() {
			defer w.Close()
			var got []string
			for ended := false; !ended; {
				evs, err := w.Next(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for _, ev := range evs {
					ended = ended || ev.Object.GetName() == "end"
					got = append(got, fmt.Sprintf("%d %s %s", ev.Rev, ev.Type, ev.Object.GetName()))
					if ev.Object.GetResourceVersion() != revText(ev.Rev) {
						t.Errorf("%s carries %s", got[len(got)-1], ev.Object.GetResourceVersion())
					}
				}
			}
			<-last
			if want := wanted(t, s, sel, after); !slices.Equal(got, want) {
				t.Errorf("after %d: got %d events, want %d\n%q\n%q", after, len(got), len(want), got, want)
			}
		})
	}
	writers.Wait()
	if _, err := client.Create(t.Context(), c, configMap("end", "a")); err != nil {
		t.Fatal(err)
	}
	close(last)
	watchers.Wait()
}

// A watch whose objects do not change while others of its kind do keeps its place.
func TestIdleWatchDoesNotFallBehind(t *testing.T) {
	s, _ := serverOn(t, mem.New())
	r := all.For[*corev1.ConfigMap]()
	s.cache(r).keep = 4
	c := s.Client(auth.System)
	w, err := c.Watch(t.Context(), r, "other", client.Selector{}, s.feed.applied.Load())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	short, cancel := context.WithCancel(t.Context())
	cancel()
	w.Next(short) // looks, and would wait
	lw := w.(*localWatch).w
	mess(t, c, 1, 100)
	if lw.pending != none {
		t.Error("it was woken by what is of no concern")
	}
	if err := s.Store.Compact(t.Context(), s.feed.applied.Load()); err != nil {
		t.Fatal(err)
	}
	if _, err := lw.ready(t.Context()); err != nil {
		t.Errorf("it fell behind: %v", err)
	}
}

// What is compacted is gone: for watches, lists and objects, each in its own words. A token
// for a list of then comes with one for a list of now.
func TestCompactedPast(t *testing.T) {
	s, _ := serverOn(t, mem.New())
	c := s.Client(auth.System)
	for _, n := range []string{"a", "b", "c"} {
		if _, err := client.Create(t.Context(), c, configMap(n, "a")); err != nil {
			t.Fatal(err)
		}
	}
	h := httptest.NewServer(asMaster(s))
	defer h.Close()
	const path = "/api/v1/namespaces/default/configmaps"
	_, first := fetch(t, h, path+"?limit=1")
	then := s.feed.applied.Load()
	if _, err := client.Create(t.Context(), c, configMap("d", "a")); err != nil {
		t.Fatal(err)
	}
	now := s.feed.applied.Load()
	if err := s.Store.Compact(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	s.cache(all.For[*corev1.ConfigMap]()).base = now
	for _, q := range []struct {
		url, want string
		code      int
	}{
		{fmt.Sprintf("%s?watch=1&resourceVersion=%d", path, then), fmt.Sprintf(`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: %d (%d)","reason":"Expired","code":410}}`, then, now), 200},
		{fmt.Sprintf("%s?resourceVersion=%d&resourceVersionMatch=Exact", path, then), "The resourceVersion for the provided list is too old.", 410},
		{fmt.Sprintf("%s/a?resourceVersion=%d&resourceVersionMatch=Exact", path, then), fmt.Sprintf("too old resource version: %d (%d)", then, now), 410},
		{fmt.Sprintf("%s?limit=1&continue=%s", path, first.Metadata.Continue), "The provided continue parameter is too old to display a consistent list result.", 410},
	} {
		code, body := fetchText(t, h, q.url)
		if code != q.code || !strings.Contains(body, q.want) {
			t.Errorf("%s: %d %s\nwant %d %s", q.url, code, body, q.code, q.want)
		}
	}
	_, gone := fetch(t, h, path+"?limit=1&continue="+first.Metadata.Continue)
	code, second := fetch(t, h, path+"?limit=1&continue="+gone.Metadata.Continue)
	if code != 200 || second.Metadata.ResourceVersion != revText(now) || len(second.Items) != 1 || second.Items[0].Metadata.Name != "b" {
		t.Errorf("the rest of the list: %d %+v", code, second)
	}
	_, third := fetch(t, h, path+"?continue="+second.Metadata.Continue)
	if len(third.Items) != 2 || third.Metadata.ResourceVersion != revText(now) {
		t.Errorf("the end of the list: %+v", third)
	}
}

// History outlives the process.
func TestPastBeforeRestart(t *testing.T) {
	dir := t.TempDir()
	st, err := disk.Open(dir, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, stop := serverOn(t, st)
	mess(t, s.Client(auth.System), 1, 100)
	want := wanted(t, s, labels.Everything(), 2)
	stop()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err = disk.Open(dir, disk.Options{}); err != nil {
		t.Fatal(err)
	}
	s, stop = serverOn(t, st)
	defer st.Close()
	defer stop()
	w, err := s.Client(auth.System).Watch(t.Context(), all.For[*corev1.ConfigMap](), "default", client.Selector{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var got []string
	for len(got) < len(want) {
		evs, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range evs {
			got = append(got, fmt.Sprintf("%d %s %s", ev.Rev, ev.Type, ev.Object.GetName()))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestWatchOptions is where a watch begins, for each combination of options.
func TestWatchOptions(t *testing.T) {
	s, _ := serverOn(t, mem.New())
	c := s.Client(auth.System)
	for _, n := range []string{"a", "b"} {
		if _, err := client.Create(t.Context(), c, configMap(n, "a")); err != nil {
			t.Fatal(err)
		}
	}
	rev := s.feed.applied.Load()
	h := httptest.NewServer(asMaster(s))
	defer h.Close()
	end := "BOOKMARK" + revText(rev) + "end"
	for _, q := range []struct{ query, want string }{
		{"", "ADDEDa ADDEDb ADDEDz"},
		{"resourceVersion=0", "ADDEDa ADDEDb ADDEDz"},
		{"resourceVersion=0&allowWatchBookmarks=true", "ADDEDa ADDEDb ADDEDz"},
		{fmt.Sprintf("resourceVersion=%d", rev), "ADDEDz"},
		{fmt.Sprintf("resourceVersion=%d", rev-1), "ADDEDb ADDEDz"},
		{"resourceVersion=1", "ADDEDa ADDEDb ADDEDz"},
		{"sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "ADDEDa ADDEDb ADDEDz"},
		{"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", "ADDEDa ADDEDb " + end + " ADDEDz"},
		{"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=0", "ADDEDa ADDEDb " + end + " ADDEDz"},
		{fmt.Sprintf("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=%d", rev-1), "ADDEDa ADDEDb " + end + " ADDEDz"},
		{"sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", "ADDEDz"},
		{"sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0", "ADDEDz"},
		{fmt.Sprintf("sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=%d", rev-1), "ADDEDb ADDEDz"},
		{"fieldSelector=metadata.name%3Da", "ADDEDa DELETEDa"},
		{"labelSelector=v%3Dz", "ADDEDz"},
	} {
		t.Run(q.query, func(t *testing.T) {
			res, err := h.Client().Get(h.URL + "/api/v1/namespaces/default/configmaps?watch=1&" + q.query)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			in := json.NewDecoder(bufio.NewReader(res.Body))
			wants := strings.Fields(q.want)
			var got []string
			for i := range wants {
				if i == len(wants)-1 {
					// The last one is what happens while the watch stands.
					if _, err := client.Create(t.Context(), c, configMap("z", "z")); err != nil {
						t.Fatal(err)
					}
					client.Delete[*corev1.ConfigMap](t.Context(), c, "default", "z", metav1.DeleteOptions{})
					if strings.HasSuffix(wants[i], "DELETEDa") {
						client.Delete[*corev1.ConfigMap](t.Context(), c, "default", "a", metav1.DeleteOptions{})
						defer client.Create(context.Background(), c, configMap("a", "a"))
					}
				}
				var ev struct {
					Type   string
					Object struct{ Metadata metav1.ObjectMeta }
				}
				if err := in.Decode(&ev); err != nil {
					t.Fatalf("%v after %q", err, got)
				}
				text := ev.Type + ev.Object.Metadata.Name
				if ev.Type == "BOOKMARK" {
					text += "+" // its revision is that of the moment
					if ev.Object.Metadata.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
						text += "end"
					}
					wants[i] = "BOOKMARK+end"
				}
				got = append(got, text)
			}
			if !slices.Equal(got, wants) {
				t.Errorf("got %q, want %q", got, wants)
			}
		})
	}
}

// TestListOptions is which state a list shows, for each combination of options.
func TestListOptions(t *testing.T) {
	s, _ := serverOn(t, mem.New())
	c := s.Client(auth.System)
	revs := map[string]int64{}
	for _, n := range []string{"a", "b", "c"} {
		o, err := client.Create(t.Context(), c, configMap(n, "a"))
		if err != nil {
			t.Fatal(err)
		}
		if revs[n], err = strconv.ParseInt(o.ResourceVersion, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	h := httptest.NewServer(asMaster(s))
	t.Cleanup(h.Close)
	for _, match := range []string{"", "Exact", "NotOlderThan"} {
		for _, rv := range []string{"", "0", "b", "future"} {
			for _, limit := range []int{0, 1} {
				t.Run(fmt.Sprintf("match=%s,rv=%s,limit=%d", match, rv, limit), func(t *testing.T) {
					t.Parallel()
					want, code, at := "a b c", 200, revs["c"]
					url := fmt.Sprintf("/api/v1/namespaces/default/configmaps?resourceVersionMatch=%s&limit=%d", match, limit)
					switch rv {
					case "0":
						url += "&resourceVersion=0"
					case "b":
						url += fmt.Sprintf("&resourceVersion=%d", revs["b"])
					case "future":
						url += fmt.Sprintf("&resourceVersion=%d", revs["c"]+1000)
						code = 504
					}
					switch {
					case match != "" && rv == "", match == "Exact" && rv == "0":
						code = 422
					case match == "Exact", match == "" && rv == "b" && limit > 0:
						// compat: a limit makes an unset match Exact.
						want, at = "a b", revs["b"]
					}
					if limit > 0 && rv != "0" { // compat: what is in the cache comes whole
						want = "a"
					}
					got, l := fetch(t, h, url)
					var names []string
					for _, i := range l.Items {
						names = append(names, i.Metadata.Name)
					}
					if got != code {
						t.Fatalf("status %d, want %d", got, code)
					}
					if code == 200 && (strings.Join(names, " ") != want || l.Metadata.ResourceVersion != revText(at)) {
						t.Errorf("%v at %s, want %s at %d", names, l.Metadata.ResourceVersion, want, at)
					}
				})
			}
		}
	}
}

type listed struct {
	Metadata metav1.ListMeta
	Items    []struct{ Metadata metav1.ObjectMeta }
}

func fetchText(t *testing.T, h *httptest.Server, path string) (int, string) {
	t.Helper()
	c := *h.Client()
	c.Timeout = time.Minute
	res, err := c.Get(h.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func fetch(t *testing.T, h *httptest.Server, path string) (int, listed) {
	t.Helper()
	code, text := fetchText(t, h, path)
	var l listed
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return code, l
}

// asMaster serves every request as an administrator's.
func asMaster(s *Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(w, asMasters(r)) })
}

// Whoever a change concerns is woken, nobody else, whichever way they are filed.
func TestDispatch(t *testing.T) {
	r := all.For[*corev1.Pod]()
	c := newCache(r)
	c.feed = &feed{store: mem.New()}
	nodes, phases := []string{"", "n1", "n2"}, []string{"Pending", "Running"}
	var ws []*watcher
	for _, ns := range []string{"", "a", "b"} {
		for _, q := range []string{"", "metadata.name=p1", "spec.nodeName=n1", "spec.nodeName=n2,status.phase=Running", "spec.nodeName!=n1", "status.phase=Running", "metadata.namespace=a"} {
			sel, err := fields.ParseSelector(q)
			if err != nil {
				t.Fatal(err)
			}
			_, w := c.watchAll(newSelector(r, ns, nil, sel))
			ws = append(ws, w)
		}
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for rev := int64(2); rev < 2000; rev++ {
		ns, name := []string{"a", "b"}[rng.IntN(2)], fmt.Sprintf("p%d", rng.IntN(3))
		var e *entry
		if rng.IntN(4) > 0 {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}, Spec: corev1.PodSpec{NodeName: nodes[rng.IntN(3)]}, Status: corev1.PodStatus{Phase: corev1.PodPhase(phases[rng.IntN(2)])}}
			var err error
			if e, err = newEntry(r, r.Key(ns, name), pod); err != nil {
				t.Fatal(err)
			}
			e.publish(rev)
		}
		old := c.get(r.Key(ns, name))
		c.apply(rev, []write{{r.Key(ns, name), e}})
		for i, w := range ws {
			ch := &change{rev: rev, now: e, old: old}
			wanted := (e != nil || old != nil) && w.concerns(ch)
			if woken := w.pending != none; woken != wanted {
				t.Fatalf("revision %d, watcher %d: woken %v, want %v", rev, i, woken, wanted)
			}
			if _, err := w.ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, w := range ws {
		w.close()
		w.close()
	}
	if ws := &c.watchers; ws.count != 0 || len(ws.byPlace)+len(ws.byKey)+len(ws.byExact) != 0 {
		t.Errorf("left: %+v", ws)
	}
}

// BenchmarkDispatch is a write while 5,000 kubelets watch their nodes.
func BenchmarkDispatch(b *testing.B) {
	r := all.For[*corev1.Pod]()
	c := newCache(r)
	for i := range 5000 {
		c.watchAll(newSelector(r, "", nil, fields.OneTermEqualSelector("spec.nodeName", fmt.Sprintf("n%d", i))))
	}
	e, err := newEntry(r, r.Key("a", "p"), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "a"}, Spec: corev1.PodSpec{NodeName: "n77"}})
	if err != nil {
		b.Fatal(err)
	}
	e.publish(1)
	rev := int64(1)
	for b.Loop() {
		rev++
		c.apply(rev, []write{{e.key, e}})
	}
}
