package apiextensions

import (
	"errors"
	"reflect"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	now   = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	later = now.Add(time.Minute)
)

func TestMarkDeleted(t *testing.T) {
	shared := make([]string, 1, 8)
	shared[0] = "example.com/mine"
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Finalizers: shared}}
	MarkDeleted(crd, now)
	once := crd.DeepCopy()
	MarkDeleted(crd, later)
	if !reflect.DeepEqual(once, crd) {
		t.Errorf("twice is %+v, once %+v", crd, once)
	}
	if !crd.DeletionTimestamp.Time.Equal(now) {
		t.Error(crd.DeletionTimestamp)
	}
	if want := []string{"example.com/mine", "customresourcecleanup.apiextensions.k8s.io"}; !reflect.DeepEqual(crd.Finalizers, want) {
		t.Error(crd.Finalizers)
	}
	if got := Released(crd); !reflect.DeepEqual(got, []string{"example.com/mine"}) || len(crd.Finalizers) != 2 {
		t.Error(got, crd.Finalizers)
	}
	if shared[:2][1] != "" {
		t.Error("the finalizers of the old definition were written to")
	}
	c := condition(&crd.Status, apiextensionsv1.Terminating)
	if c == nil || c.Status != "True" || c.Reason != "InstanceDeletionPending" || c.Message != "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon" {
		t.Error(c)
	}
}

func TestTerminating(t *testing.T) {
	no := errors.New("no")
	for _, c := range []struct {
		how      Outcome
		cause    error
		released bool
		status   apiextensionsv1.ConditionStatus
		reason   string
		message  string
	}{
		{AllDeleted, nil, true, "False", "InstanceDeletionCompleted", "removed all instances"},
		{NotListed, no, false, "True", "InstanceDeletionFailed", "could not list instances: no"},
		{NotDeleted, no, false, "True", "InstanceDeletionFailed", "could not issue all deletes: no"},
		{StillThere, no, false, "True", "InstanceDeletionCheck", "could not confirm zero CustomResources remaining: no"},
		{NeverServed, nil, true, "False", "NeverEstablished", "resource was never established"},
		{BuiltInOverlaps, nil, true, "False", "OverlappingBuiltInResource", "instances overlap with built-in resources in storage"},
	} {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		MarkDeleted(crd, now)
		status, changed := Conditions(crd, nil, now)
		if got := condition(&status, apiextensionsv1.Terminating); !changed || got.Reason != "InstanceDeletionInProgress" {
			t.Error(changed, got)
		}
		if got := Terminating(&status, c.how, c.cause, later); got != c.released {
			t.Errorf("%v: released %t", c, got)
		}
		since := later
		if c.status == "True" {
			since = now
		}
		got := condition(&status, apiextensionsv1.Terminating)
		if got.Status != c.status || got.Reason != c.reason || got.Message != c.message || !got.LastTransitionTime.Time.Equal(since) {
			t.Errorf("%v: %+v", c, got)
		}
	}
}
