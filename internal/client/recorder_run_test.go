package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		k := clienttest.New()
		r := client.NewRecorder(ctx, k, time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p", UID: "u", ResourceVersion: "7"}}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "n"}}
		for range 4 {
			r.RecordFrom("kubelet", "n", pod, "spec.containers{c}", "Warning", "BackOff", "Back-off restarting")
			time.Sleep(30 * time.Second)
		}
		r.Record("node-controller", node, "Normal", "RegisteredNode", "", "m")
		r.Record("x", pod, "Normal", "One", "Act", "m")
		r.Record("x", pod, "Normal", "Two", "", "m")
		synctest.Wait()
		events, err := client.List[*corev1.Event](ctx, k, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%s %s %s/%s %s %s %s x%d over %v", e.Namespace, e.InvolvedObject.Kind, e.Source.Component, e.Source.Host, e.Type, e.Reason, e.InvolvedObject.FieldPath, e.Count, e.LastTimestamp.Sub(e.FirstTimestamp.Time)))
			if !strings.HasPrefix(e.Name, e.InvolvedObject.Name+".") || e.ReportingController != e.Source.Component || e.InvolvedObject.APIVersion != "v1" || e.InvolvedObject.UID == "" {
				t.Errorf("%+v", e)
			}
		}
		want := []string{
			"a Pod kubelet/n Warning BackOff spec.containers{c} x4 over 1m30s", "a Pod x/ Normal One  x1 over 0s", "a Pod x/ Normal Two  x1 over 0s",
			"default Node node-controller/ Normal RegisteredNode  x1 over 0s",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s", strings.Join(got, "\n"))
		}
		// One that has expired is written anew.
		client.Delete[*corev1.Event](ctx, k, "a", events[0].Name, metav1.DeleteOptions{})
		r.RecordFrom("kubelet", "n", pod, "spec.containers{c}", "Warning", "BackOff", "Back-off restarting")
		synctest.Wait()
		if e, err := client.Get[*corev1.Event](ctx, k, "a", events[0].Name); err != nil || e.Count != 5 {
			t.Error(e, err)
		}
		stacks := make([]byte, 1<<20)
		if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("(*EventRecorder)")) {
			t.Errorf("somebody works while there is nothing to do:\n%s", stacks)
		}
	})
}
