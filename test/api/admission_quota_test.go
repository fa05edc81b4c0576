package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/apiserver"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/resourcequota"
	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/disk"
	"github.com/skiff-k8s/skiff/internal/store/mem"
)

// quotaServer runs an API server on a store until the test ends.
func quotaServer(t testing.TB, st store.Store) client.Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := apiserver.New(ctx, apiserver.Options{Store: st, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; st.Close() })
	c := s.Client(auth.System)
	if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	return c
}

func limit(t testing.TB, c client.Client, name, what string, n int64) {
	t.Helper()
	_, err := client.Create(t.Context(), c, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceName(what): *resource.NewQuantity(n, resource.DecimalSI)}}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestQuotaUnderLoad: of a thousand objects that are made at the same time, as
// many come to be as the tightest quota admits, and every quota counts just them.
func TestQuotaUnderLoad(t *testing.T) {
	const many, hard = 1000, 150
	for name, open := range map[string]func() store.Store{
		"mem": func() store.Store { return mem.New() },
		"disk": func() store.Store {
			st, err := disk.Open(t.TempDir(), disk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := quotaServer(t, open())
			limit(t, c, "wide", "count/configmaps", many)
			limit(t, c, "tight", "configmaps", hard)
			var made, refused atomic.Int64
			var wg sync.WaitGroup
			for i := range many {
				wg.Go(func() {
					_, err := client.Create(t.Context(), c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprint("c", i)}})
					switch {
					case err == nil:
						made.Add(1)
					case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: tight, requested: configmaps=1, used: configmaps=150, limited: configmaps=150"):
						refused.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if made.Load() != hard || refused.Load() != many-hard {
				t.Errorf("%d made, %d refused", made.Load(), refused.Load())
			}
			for name, what := range map[string]corev1.ResourceName{"tight": "configmaps", "wide": "count/configmaps"} {
				q, err := client.Get[*corev1.ResourceQuota](t.Context(), c, "a", name)
				if err != nil {
					t.Fatal(err)
				}
				if used := q.Status.Used[what]; used.Value() != hard {
					t.Errorf("quota %s counts %s", name, used.String())
				}
			}
		})
	}
}

// TestQuotaIsGivenBack: what is deleted can be made again, while others try all the time.
func TestQuotaIsGivenBack(t *testing.T) {
	c := quotaServer(t, mem.New())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	e := &controller.Engine{Client: c, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now}
	go func() { done <- resourcequota.Run(ctx, e, func() []*api.Resource { return all.Rows }) }()
	defer func() { cancel(); <-done }()
	limit(t, c, "q", "configmaps", 10)
	row := all.For[*corev1.ResourceQuota]()
	w, err := c.Watch(t.Context(), row, "a", client.Selector{}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	until := func(n int64) {
		t.Helper()
		short, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		for {
			q, err := client.Get[*corev1.ResourceQuota](short, c, "a", "q")
			if err != nil {
				t.Fatal(err)
			}
			if u, ok := q.Status.Used["configmaps"]; ok && u.Value() == n {
				return
			}
			if _, err := w.Next(short); err != nil {
				t.Fatalf("used is %v, want %d: %v", q.Status.Used, n, err)
			}
		}
	}
	until(0)
	for round := range 5 {
		var wg sync.WaitGroup
		var made atomic.Int64
		for i := range 40 {
			wg.Go(func() {
				_, err := client.Create(t.Context(), c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprint("c", round, "-", i)}})
				if err == nil {
					made.Add(1)
				}
			})
		}
		wg.Wait()
		if made.Load() != 10 {
			t.Fatalf("round %d: %d made", round, made.Load())
		}
		until(10)
		left, err := client.List[*corev1.ConfigMap](t.Context(), c, "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range left {
			if err := client.Delete[*corev1.ConfigMap](t.Context(), c, "a", o.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		until(0)
	}
}

func BenchmarkCreateConfigMap(b *testing.B) {
	for _, n := range []string{"no quota", "quota of others", "quota"} {
		b.Run(n, func(b *testing.B) {
			c := quotaServer(b, mem.New())
			switch n {
			case "quota of others":
				limit(b, c, "q", "pods", 1)
			case "quota":
				limit(b, c, "q", "configmaps", 1<<40)
			}
			i := 0
			for b.Loop() {
				i++
				if _, err := client.Create(b.Context(), c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprint("c", i)}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
