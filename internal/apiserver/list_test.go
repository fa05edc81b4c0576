package apiserver

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// TestContinueExpires: a list that takes too long goes on with what is there now, if its client wants that.
func TestContinueExpires(t *testing.T) {
	now := time.Unix(1000, 0)
	ctx := t.Context()
	s := running(t, func() time.Time { return now })
	c := s.Client(auth.System)
	if _, err := client.Create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if _, err := client.Create(ctx, c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c%d", i), Namespace: "default"}}); err != nil {
			t.Fatal(err)
		}
	}
	r := all.For[*corev1.ConfigMap]()
	list := func(cont string) (*page, error) {
		o, err := parseListOptions(r, "default", "", url.Values{"limit": {"1"}, "continue": {cont}})
		if err != nil {
			t.Fatal(err)
		}
		return s.list(ctx, r, o)
	}
	first, err := list("")
	if err != nil || first.cont == "" {
		t.Fatal(first, err)
	}
	now = now.Add(tokenLife)
	second, err := list(first.cont)
	if err != nil || second.rev != first.rev {
		t.Fatalf("in time: %v", err)
	}
	// The pages of one list share its beginning.
	now = now.Add(time.Second)
	_, err = list(second.cont)
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Code != 410 || status.ErrStatus.ListMeta.Continue == "" {
		t.Fatalf("late: %v", err)
	}
	rest, err := list(status.ErrStatus.ListMeta.Continue)
	if err != nil || len(rest.entries) != 1 || rest.entries[0].object().GetName() != "c2" {
		t.Fatalf("with the new token: %v", err)
	}
}
