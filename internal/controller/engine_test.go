package controller

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
}

// steps records when which key was worked on.
type steps struct {
	mu    sync.Mutex
	start time.Time
	list  []string
}

func (s *steps) add(k Key) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, time.Since(s.start).String()+" "+k.Name)
	return len(s.list)
}

func (s *steps) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.list
	s.list = nil
	return l
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := clienttest.New(configMap("a"))
		e := &Engine{Client: k, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now}
		seen := &steps{start: time.Now()}
		s := Spec{Name: "test", For: all.For[*corev1.ConfigMap](), Step: func(_ View, k Key) (Plan, error) {
			n := seen.add(k)
			switch {
			case k.Name == "fails" && n < 4:
				return Plan{}, errors.New("no")
			case k.Name == "panics" && n == 1:
				panic("no")
			case k.Name == "later" && n == 1:
				return Plan{After: time.Minute}, nil
			}
			return Plan{}, nil
		}, Wakes: []Wake{{On: all.For[*corev1.Secret](), Keys: func(_ View, o, _ api.Object) []Key { return []Key{{Name: "of " + o.GetName()}} }}}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx, s) }()
		expect := func(wait time.Duration, want ...string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if got := seen.take(); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			seen.start = time.Now()
		}
		expect(time.Second, "0s a")
		k.Add(configMap("fails"))
		expect(time.Second, "0s fails", "5ms fails", "15ms fails", "35ms fails")
		k.Add(configMap("panics"))
		expect(time.Second, "0s panics", "5ms panics")
		k.Add(configMap("later"))
		expect(2*time.Minute, "0s later", "1m0s later")
		k.Add(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s"}})
		expect(time.Second, "0s of s")
		// A watch that fell behind begins anew with every object.
		k.Expire()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := seen.take(); len(got) < 5 {
			t.Errorf("after expiry: %q", got)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestActions(t *testing.T) {
	refuse := errors.New("refused")
	create := func(name string) Action { return Action{Create: configMap(name)} }
	many := func(names string) Action {
		var a []Action
		for _, n := range strings.Fields(names) {
			a = append(a, create(n))
		}
		return Action{SlowStart: a}
	}
	for name, c := range map[string]struct {
		do   []Action
		want string // the names created
		err  bool
	}{
		"in order":            {[]Action{create("a"), create("b")}, "a b", false},
		"stops":               {[]Action{create("a"), create("no"), create("b")}, "a", true},
		"then":                {[]Action{{Create: configMap("a"), Then: func(o api.Object) []Action { return []Action{create("of-" + o.GetName())} }}, create("b")}, "a of-a b", false},
		"else goes on":        {[]Action{{Create: configMap("no"), Else: func(error) []Action { return nil }}, create("b")}, "b", false},
		"else fails":          {[]Action{{Create: configMap("no"), Else: func(err error) []Action { return []Action{create("x"), {Fail: err}} }}, create("b")}, "x", true},
		"slow start":          {[]Action{many("a b c d e f g h")}, "a b c d e f g h", false},
		"slow start fails":    {[]Action{many("a b no d e f g h"), create("z")}, "a b", true},
		"slow start, else":    {[]Action{{SlowStart: []Action{create("no"), create("b")}, Else: func(error) []Action { return nil }}, create("z")}, "z", false},
		"a delete of nothing": {[]Action{{Delete: &Delete{Object: configMap("a")}}, create("b")}, "b", false},
	} {
		t.Run(name, func(t *testing.T) {
			k := clienttest.New()
			k.Refuse = func(w clienttest.Write, _ api.Object) error {
				if w.Name == "no" {
					return refuse
				}
				return nil
			}
			e := &Engine{Client: k, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now}
			_, err := e.Step(t.Context(), Spec{Step: func(View, Key) (Plan, error) { return Plan{Do: c.do}, nil }}, Key{})
			if c.err != errors.Is(err, refuse) {
				t.Error(err)
			}
			var names []string
			objects, _ := client.List[*corev1.ConfigMap](t.Context(), k, "", nil)
			for _, o := range objects {
				names = append(names, o.Name)
			}
			if got := strings.Join(names, " "); got != c.want && name != "then" {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
