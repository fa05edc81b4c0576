package clientgo

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	eventsv1 "k8s.io/client-go/kubernetes/typed/events/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

// Two candidates, one leader; when it goes, the other takes over.
func TestLeaderElection(t *testing.T) {
	_, cfg := start(t)
	ctx, c := ctx(t), typed(t, cfg)
	leads := make(chan string, 4)
	candidate := func(ctx context.Context, id string) {
		lock, err := resourcelock.New(resourcelock.LeasesResourceLock, "default", "leader", nil, c.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: id})
		check(t, err)
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 60 * time.Second, RenewDeadline: 50 * time.Second, RetryPeriod: 100 * time.Millisecond, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leads <- id },
				OnStoppedLeading: func() {},
			},
		})
	}
	one, stop := context.WithCancel(ctx)
	go candidate(one, "one")
	expect(t, leads, "one")
	two, stopTwo := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { candidate(two, "two"); close(ended) }()
	defer func() { stopTwo(); <-ended }()
	stop()
	expect(t, leads, "two")
	l, err := c.CoordinationV1().Leases("default").Get(ctx, "leader", metav1.GetOptions{})
	check(t, err)
	if *l.Spec.HolderIdentity != "two" || *l.Spec.LeaseTransitions < 1 {
		t.Errorf("%+v", l.Spec)
	}
}

func expect(t *testing.T, leads chan string, want string) {
	t.Helper()
	select {
	case got := <-leads:
		if got != want {
			t.Fatalf("%s leads, want %s", got, want)
		}
	case <-time.After(90 * time.Second):
		t.Fatalf("%s never leads", want)
	}
}

// Events of both recorders arrive, and the same event again is counted.
func TestEvents(t *testing.T) {
	_, cfg := start(t)
	ctx, c := ctx(t), typed(t, cfg)
	cm, err := c.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "about"}}, metav1.CreateOptions{})
	check(t, err)

	old := record.NewBroadcaster()
	defer old.Shutdown()
	old.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: c.CoreV1().Events("")})
	r := old.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "tester", Host: "here"})
	for range 3 {
		r.Eventf(cm, corev1.EventTypeWarning, "Said", "said %d", 1)
	}
	eventually(t, "the event is counted", func() bool {
		e := find(ctx, t, c, "Said")
		return e != nil && e.Count == 3 && e.Source.Component == "tester" && e.Type == "Warning" && e.Message == "said 1"
	})

	now := events.NewBroadcaster(&events.EventSinkImpl{Interface: c.EventsV1()})
	defer now.Shutdown()
	check(t, now.StartRecordingToSinkWithContext(ctx))
	n := now.NewRecorder(scheme.Scheme, "example.com/tester")
	for range 2 {
		n.Eventf(cm, nil, corev1.EventTypeNormal, "Noted", "Noting", "noted %d", 2)
	}
	eventually(t, "the new event is there in both groups", func() bool {
		e := find(ctx, t, c, "Noted")
		list, err := eventsv1.New(c.EventsV1().RESTClient()).Events("default").List(ctx, metav1.ListOptions{FieldSelector: "reason=Noted"})
		check(t, err)
		return e != nil && e.ReportingController == "example.com/tester" && e.Action == "Noting" && e.Message == "noted 2" &&
			len(list.Items) == 1 && list.Items[0].Note == "noted 2" && list.Items[0].Regarding.Name == "about"
	})
	uid := string(cm.UID)
	about := c.CoreV1().Events("default").GetFieldSelector(&cm.Name, &cm.Namespace, nil, &uid)
	found, err := c.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: about.String()})
	check(t, err)
	if len(found.Items) != 2 {
		t.Errorf("%d events about it", len(found.Items))
	}
}

func find(ctx context.Context, t *testing.T, c kubernetes.Interface, reason string) *corev1.Event {
	l, err := c.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=about,reason=" + reason})
	check(t, err)
	if len(l.Items) != 1 {
		return nil
	}
	return &l.Items[0]
}
