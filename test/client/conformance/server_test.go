// Package conformance asks a Skiff server what Kubernetes' conformance tests ask of an
// API server: those of the tests for which no pod must run. Each subtest has the name
// of the upstream test whose demands it repeats; the code is our own.
//
// All share one server (`skiff server`: the API and the controllers, no node) and run
// side by side, each in namespaces of its own; what is not in a namespace has a name
// of its own. Read this file first, then lifecycle_test.go, which walks through the
// life of most kinds; what a kind has of its own is in the file of its group.
package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/test/client/instance"
)

// config is how the administrator reaches the server; nil when there is none to test.
var config *rest.Config

// kubeconfig is the same as a file.
var kubeconfig string

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of these tests wait for controllers: many at once cost little.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s, err := instance.Start(dir)
	if errors.Is(err, instance.ErrNotBuilt) {
		fmt.Println(err)
		return m.Run() // every test says that it is skipped
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer s.Stop()
	if config, err = clientcmd.BuildConfigFromFlags("", s.Kubeconfig); err != nil {
		panic(err)
	}
	kubeconfig = s.Kubeconfig
	config.QPS, config.Burst = -1, 0
	config.WarningHandler = rest.NoWarnings{}
	code := m.Run()
	if code != 0 {
		fmt.Printf("the server's log:\n%s\n", s.Log())
	}
	return code
}

// T is a test with clients: c is typed and speaks protobuf as upstream's suite does, d
// is dynamic and speaks JSON.
type T struct {
	*testing.T
	ctx context.Context
	c   kubernetes.Interface
	d   dynamic.Interface
	// ns is a namespace of the test's own.
	ns string
	// cache is kubectl's directory of discovery documents.
	cache string
}

// conform runs a test by its upstream name beside all others.
func conform(t *testing.T, name string, f func(*T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		if config == nil {
			t.Skip(instance.ErrNotBuilt)
		}
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
		t.Cleanup(cancel)
		spoken := rest.CopyConfig(config)
		spoken.ContentType = runtime.ContentTypeProtobuf
		spoken.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
		x := &T{T: t, ctx: ctx, c: kubernetes.NewForConfigOrDie(spoken), d: dynamic.NewForConfigOrDie(config), cache: t.TempDir()}
		x.ns = x.namespace(nil)
		f(x)
	})
}

func (t *T) ok(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want is a test's demand of one sentence.
func (t *T) want(is bool, format string, args ...any) {
	t.Helper()
	if !is {
		t.Errorf(format, args...)
	}
}

// refused demands that an error is what a predicate of apierrors says, and tells of what.
func (t *T) refused(err error, is func(error) bool, words ...string) {
	t.Helper()
	if err == nil || !is(err) {
		t.Errorf("refused otherwise than expected: %v", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in %q", w, err)
		}
	}
}

// namespace makes a namespace with these labels, deleted after the test.
func (t *T) namespace(labels map[string]string) string {
	t.Helper()
	ns, err := t.c.CoreV1().Namespaces().Create(t.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "conform-", Labels: labels}}, metav1.CreateOptions{})
	t.ok(err)
	t.Cleanup(func() {
		// It may be gone, that is what some tests are about.
		_ = t.c.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{})
	})
	return ns.Name
}

var count atomic.Int64

// name is a name that no other test has.
func name(prefix string) string { return fmt.Sprintf("%s-%d", prefix, count.Add(1)) }

// eventually repeats f until it is true.
func (t *T) eventually(what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

// event waits for an event of a watch that is of a type and for which f, if any, is true.
func (t *T) event(w watch.Interface, kind watch.EventType, f func(metav1.Object) bool) metav1.Object {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case e, more := <-w.ResultChan():
			if !more {
				t.Fatalf("the watch ended before %s", kind)
			}
			if e.Type == watch.Error {
				t.Fatalf("the watch failed: %v", e.Object)
			}
			o, is := e.Object.(metav1.Object)
			if is && e.Type == kind && (f == nil || f(o)) {
				return o
			}
		case <-late:
			t.Fatalf("%s was not seen", kind)
		}
	}
}

// next is the next event of a watch.
func (t *T) next(w watch.Interface) watch.Event {
	t.Helper()
	select {
	case e, more := <-w.ResultChan():
		if !more {
			t.Fatal("the watch ended")
		}
		return e
	case <-time.After(time.Minute):
		t.Fatal("no event")
	}
	return watch.Event{}
}

// object reads an object written as YAML.
func object(text string, args ...any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	if err := yaml.UnmarshalStrict([]byte(text), &u.Object); err != nil {
		panic(fmt.Sprintf("%v in %s", err, text))
	}
	return u
}

func gvr(group, version, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: resource}
}

// raw asks for a path with an Accept header and gives the answer and its status.
func (t *T) raw(path, accept string) ([]byte, int, error) {
	t.Helper()
	var code int
	r := t.c.Discovery().RESTClient().Get().AbsPath(path)
	if accept != "" {
		r = r.SetHeader("Accept", accept)
	}
	res := r.Do(t.ctx).StatusCode(&code)
	b, err := res.Raw()
	return b, code, err
}

// changer is what typed clients of all kinds have.
type changer[O any] interface {
	Get(context.Context, string, metav1.GetOptions) (O, error)
	Update(context.Context, O, metav1.UpdateOptions) (O, error)
}

// change updates an object, also when a controller writes it at the same time.
func change[O any](t *T, api changer[O], name string, f func(O)) O {
	t.Helper()
	for {
		o, err := api.Get(t.ctx, name, metav1.GetOptions{})
		t.ok(err)
		f(o)
		if o, err = api.Update(t.ctx, o, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.ok(err)
			return o
		}
	}
}
