package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/apiserver/flow"
	"github.com/skiff-k8s/skiff/internal/auth"
	"github.com/skiff-k8s/skiff/internal/client"
)

// underFlow is a server that keeps the objects of flow control.
func underFlow(t testing.TB) *besieged {
	b := besiege(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.RunFlowControl(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return b
}

func TestFlowObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := underFlow(t)
		ctx, c := context.Background(), b.Client(auth.System)
		get := func(name string) *flowcontrolv1.FlowSchema {
			o, err := client.Get[*flowcontrolv1.FlowSchema](ctx, c, "", name)
			if err != nil {
				t.Fatal(name, err)
			}
			return o
		}
		level := func(name string) *flowcontrolv1.PriorityLevelConfiguration {
			o, err := client.Get[*flowcontrolv1.PriorityLevelConfiguration](ctx, c, "", name)
			if err != nil {
				t.Fatal(name, err)
			}
			return o.DeepCopy()
		}
		dangling := func(name string) string {
			for _, c := range get(name).Status.Conditions {
				return fmt.Sprint(c.Type, c.Status, c.Reason)
			}
			return ""
		}
		update := func(name string, f func(*flowcontrolv1.FlowSchema)) {
			o := get(name).DeepCopy()
			f(o)
			if _, err := client.Update(ctx, c, o); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for _, o := range flow.Schemas() {
			if d := dangling(o.Name); d != "DanglingFalseFound" {
				t.Errorf("%s: %q", o.Name, d)
			}
		}
		// What the server keeps is put right, and made again.
		update("catch-all", func(o *flowcontrolv1.FlowSchema) {
			o.Annotations[flowcontrolv1.AutoUpdateAnnotationKey] = "false"
		})
		if o := get("catch-all"); o.Annotations[flowcontrolv1.AutoUpdateAnnotationKey] != "true" {
			t.Errorf("catch-all: %+v", o)
		}
		update("service-accounts", func(o *flowcontrolv1.FlowSchema) { o.Spec.MatchingPrecedence = 7 })
		if o := get("service-accounts"); o.Spec.MatchingPrecedence != 9000 {
			t.Errorf("service-accounts: %+v", o.Spec)
		}
		if err := client.Delete[*flowcontrolv1.FlowSchema](ctx, c, "", "probes", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		get("probes")
		// What administrators took over is theirs.
		update("global-default", func(o *flowcontrolv1.FlowSchema) {
			o.Spec.MatchingPrecedence = 9800
			o.Annotations[flowcontrolv1.AutoUpdateAnnotationKey] = "false"
		})
		if o := get("global-default"); o.Spec.MatchingPrecedence != 9800 {
			t.Errorf("global-default: %+v", o.Spec)
		}
		exempt := level("exempt")
		lend := int32(50)
		exempt.Spec.Exempt.LendablePercent = &lend
		if _, err := client.Update(ctx, c, exempt); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if o := level("exempt"); *o.Spec.Exempt.LendablePercent != 50 {
			t.Errorf("exempt: %+v", o.Spec.Exempt)
		}
		// A schema that leads nowhere says so, until there is something.
		mine := flow.Schemas()[1]
		mine.Name, mine.Annotations, mine.Spec.MatchingPrecedence = "mine", nil, 50
		mine.Spec.PriorityLevelConfiguration.Name = "my-level"
		if _, err := client.Create(ctx, c, mine); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := dangling("mine"); d != "DanglingTrueNotFound" {
			t.Error(d)
		}
		my := flow.Levels()[1]
		my.Name, my.Annotations = "my-level", nil
		if _, err := client.Create(ctx, c, my); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := dangling("mine"); d != "DanglingFalseFound" {
			t.Error(d)
		}
		// What says that it is the server's, and is not, goes.
		update("mine", func(o *flowcontrolv1.FlowSchema) {
			o.Annotations = map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "true"}
		})
		if _, err := client.Get[*flowcontrolv1.FlowSchema](ctx, c, "", "mine"); !apierrors.IsNotFound(err) {
			t.Error(err)
		}
		before := b.feed.applied.Load()
		time.Sleep(time.Hour)
		if now := b.feed.applied.Load(); now != before {
			t.Errorf("%d writes while nothing happens", now-before)
		}
	})
}

// narrow leaves jane one seat, and two places to wait.
func narrow(t *testing.T, b *besieged, queuing *flowcontrolv1.QueuingConfiguration) {
	t.Helper()
	one, none := int32(1), int32(0)
	l := flow.Levels()[7]
	l.Name, l.Annotations = "narrow", nil
	l.Spec.Limited.NominalConcurrencyShares, l.Spec.Limited.LendablePercent, l.Spec.Limited.BorrowingLimitPercent = &one, &none, &none
	if l.Spec.Limited.LimitResponse.Queuing = queuing; queuing == nil {
		l.Spec.Limited.LimitResponse.Type = flowcontrolv1.LimitResponseTypeReject
	}
	s := flow.Schemas()[1]
	s.Name, s.Annotations, s.Spec.MatchingPrecedence, s.Spec.PriorityLevelConfiguration.Name = "narrow", nil, 50, "narrow"
	s.Spec.Rules[0].Subjects = []flowcontrolv1.Subject{{Kind: "User", User: &flowcontrolv1.UserSubject{Name: "jane"}}}
	b.flow.mu.Lock()
	b.flow.pool.Total = 246 // a seat per share
	b.flow.mu.Unlock()
	ctx, c := context.Background(), b.Client(auth.System)
	if _, err := client.Create(ctx, c, l); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(ctx, c, s); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// asked is what came of a request.
type asked struct {
	*httptest.ResponseRecorder
	done  chan struct{}
	after time.Duration
	stop  context.CancelFunc
}

func asJane(r *http.Request) *http.Request {
	asMasters(r)
	subject := &r.TLS.VerifiedChains[0][0].Subject
	subject.CommonName, subject.Organization = "jane", nil
	return r
}

// jane asks for something that she may see.
func (b *besieged) jane(target string) *asked {
	ctx, cancel := context.WithCancel(context.Background())
	a := &asked{ResponseRecorder: httptest.NewRecorder(), done: make(chan struct{}), stop: cancel}
	r := asJane(httptest.NewRequest("GET", target, nil)).WithContext(ctx)
	began := time.Now()
	go func() {
		defer close(a.done)
		b.ServeHTTP(a, r)
		a.after = time.Since(began)
	}()
	synctest.Wait()
	return a
}

// hold takes jane's seat, as a request that lasts.
func (b *besieged) hold() (leave func()) {
	b.t.Helper()
	r := httptest.NewRequest("GET", configMaps, nil)
	x := &exchange{info: parseInfo(r), user: &auth.User{Name: "jane", Groups: []string{auth.GroupAuthenticated}}}
	if err := b.stageFlow(httptest.NewRecorder(), r, x); err != nil || x.ticket.State() != flow.Running {
		b.t.Fatal(err)
	}
	return func() { b.leaveFlow(x); b.leaveFlow(x); synctest.Wait() }
}

func (a *asked) is(t *testing.T, code int, after time.Duration) {
	t.Helper()
	<-a.done
	a.stop()
	if a.Code != code || a.after != after {
		t.Errorf("%d after %s, want %d after %s: %s", a.Code, a.after, code, after, a.Body)
	}
}

func TestFlowQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := underFlow(t)
		narrow(t, b, &flowcontrolv1.QueuingConfiguration{Queues: 1, HandSize: 1, QueueLengthLimit: 2})
		leave := b.hold()
		second, third, fourth := b.jane("/apis"), b.jane("/apis"), b.jane("/apis")
		fourth.is(t, http.StatusTooManyRequests, 0)
		if text := fourth.Body.String(); fourth.Header().Get("Retry-After") != "1" || !strings.Contains(text, `"message":"too many requests, please try again later"`) || !strings.Contains(text, `"reason":"TooManyRequests"`) {
			t.Errorf("%v %s", fourth.Header(), text)
		}
		if fourth.Header().Get("X-Kubernetes-PF-FlowSchema-UID") == "" || fourth.Header().Get("X-Kubernetes-PF-PriorityLevel-UID") == "" {
			t.Error(fourth.Header())
		}
		text := b.do("GET", "/metrics", "", "").Body.String()
		for _, want := range []string{
			`apiserver_flowcontrol_rejected_requests_total{flow_schema="narrow",priority_level="narrow",reason="queue-full"} 1`,
			`apiserver_flowcontrol_current_inqueue_requests{flow_schema="narrow",priority_level="narrow"} 2`,
			`apiserver_flowcontrol_current_executing_requests{flow_schema="narrow",priority_level="narrow"} 1`,
			`apiserver_flowcontrol_dispatched_requests_total{flow_schema="narrow",priority_level="narrow"} 1`,
			`apiserver_flowcontrol_request_wait_duration_seconds_count{execute="true",flow_schema="narrow",priority_level="narrow"} 1`,
			`apiserver_flowcontrol_nominal_limit_seats{priority_level="narrow"} 1`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s", want)
			}
		}
		time.Sleep(2 * time.Second)
		leave()
		second.is(t, 200, 2*time.Second)
		third.is(t, 200, 2*time.Second)
		// A quarter of its time is what a request waits.
		leave = b.hold()
		b.jane("/apis?timeout=4s").is(t, http.StatusTooManyRequests, time.Second)
		b.jane("/apis").is(t, http.StatusTooManyRequests, 15*time.Second)
		// Who goes leaves the queue.
		gone, next := b.jane("/apis"), b.jane("/apis")
		gone.stop()
		<-gone.done
		last := b.jane("/apis")
		leave()
		next.is(t, 200, 0)
		last.is(t, 200, 0)
		b.idle()
	})
}

// A watch has seats until it stands.
func TestFlowWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := underFlow(t)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			b.ServeHTTP(httptest.NewRecorder(), asMasters(httptest.NewRequest("GET", configMaps+"?watch=true", nil)).WithContext(ctx))
			close(done)
		}()
		synctest.Wait()
		text := b.do("GET", "/metrics", "", "").Body.String()
		for _, want := range []string{
			`apiserver_flowcontrol_current_executing_requests{flow_schema="exempt",priority_level="exempt"} 1`, // that of the question
			`apiserver_flowcontrol_dispatched_requests_total{flow_schema="exempt",priority_level="exempt"} 2`,
			`apiserver_longrunning_requests{component="apiserver",group="",resource="configmaps",scope="namespace",subresource="",verb="WATCH",version="v1"} 1`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s", want)
			}
		}
		cancel()
		<-done
		b.idle()
	})
}

func TestFlowRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := underFlow(t)
		narrow(t, b, nil)
		leave := b.hold()
		b.jane("/apis").is(t, http.StatusTooManyRequests, 0)
		// More seats count at once.
		c := b.Client(auth.System)
		l, err := client.Get[*flowcontrolv1.PriorityLevelConfiguration](context.Background(), c, "", "narrow")
		if err != nil {
			t.Fatal(err)
		}
		l, two := l.DeepCopy(), int32(2)
		l.Spec.Limited.NominalConcurrencyShares = &two
		if _, err := client.Update(context.Background(), c, l); err != nil {
			t.Fatal(err)
		}
		b.jane("/apis").is(t, 200, 0)
		leave()
		b.idle()
	})
}

// Seats that are added are there for those who wait, whether anybody else asks or not.
func TestFlowWidened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := underFlow(t)
		narrow(t, b, &flowcontrolv1.QueuingConfiguration{Queues: 1, HandSize: 1, QueueLengthLimit: 2})
		leave := b.hold()
		waits := b.jane("/apis")
		time.Sleep(time.Second)
		c := b.Client(auth.System)
		if err := client.Delete[*flowcontrolv1.FlowSchema](context.Background(), c, "", "narrow", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l, err := client.Get[*flowcontrolv1.PriorityLevelConfiguration](context.Background(), c, "", "narrow")
		if err != nil {
			t.Fatal(err)
		}
		l, two := l.DeepCopy(), int32(2)
		l.Spec.Limited.NominalConcurrencyShares = &two
		if _, err := client.Update(context.Background(), c, l); err != nil {
			t.Fatal(err)
		}
		waits.is(t, 200, time.Second)
		leave()
		b.idle()
	})
}

// idle checks that no seat was lost.
func (b *besieged) idle() {
	b.t.Helper()
	synctest.Wait()
	b.flow.mu.Lock()
	defer b.flow.mu.Unlock()
	b.flow.pool.Read(func(s *flow.Stats) {
		if s.Running != 0 || s.Waiting != 0 || s.RunningSeats != 0 || s.WaitingSeats != 0 {
			b.t.Errorf("something is left: %+v", s)
		}
	}, func(flow.Limits) {})
}

func TestWidth(t *testing.T) {
	b := besiege(t)
	for i := range 250 {
		if _, err := client.Create(context.Background(), b.Client(auth.System), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c%d", i), Namespace: "default"}}); err != nil {
			t.Fatal(err)
		}
	}
	for target, want := range map[string]int{
		"/api/v1/configmaps": 3, configMaps: 3, configMaps + "?limit=50": 1, configMaps + "?limit=150": 2, configMaps + "?limit=50&labelSelector=a": 3,
		configMaps + "?limit=x": 3, configMaps + "/c1": 1, configMaps + "?fieldSelector=metadata.name%3Dc1": 1, "/api/v1/namespaces": 1, "/version": 1,
		configMaps + "?watch=true": 3, configMaps + "?watch=true&resourceVersion=5": 1, configMaps + "?watch=true&resourceVersion=5&sendInitialEvents=true": 3, "/api/v1/none": 1,
	} {
		r := httptest.NewRequest("GET", target, nil)
		if n := b.width(r, &exchange{info: parseInfo(r)}); n != want {
			t.Errorf("%s: %d, want %d", target, n, want)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := besiege(b)
	if _, err := client.Create(context.Background(), s.Client(auth.System), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default"}, Data: map[string]string{"a": "b"}}); err != nil {
		b.Fatal(err)
	}
	r := asMasters(httptest.NewRequest("GET", configMaps+"/c", nil))
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	for b.Loop() {
		w := &pipeWriter{h: make(http.Header, 8), w: nowhere{}}
		s.ServeHTTP(w, r)
		if w.code != 200 {
			b.Fatal(w.code)
		}
	}
}

type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
