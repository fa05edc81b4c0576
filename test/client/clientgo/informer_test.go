package clientgo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// firstStreams tells whether informers of this client-go begin with a streamed
// list (WatchList) when nothing else is said.
func firstStreams() bool { return minor() >= 35 }

// log keeps what an informer told.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *log) has(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, have := range l.lines {
		if have == line {
			return true
		}
	}
	return false
}

func (l *log) handler() cache.ResourceEventHandler {
	name := func(o any) string {
		if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
			o = d.Obj
		}
		return o.(metav1.Object).GetName()
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.add("add %s", name(o)) },
		UpdateFunc: func(_, o any) { l.add("update %s", name(o)) },
		DeleteFunc: func(o any) { l.add("delete %s", name(o)) },
	}
}

func TestInformers(t *testing.T) {
	if minor() == 0 {
		t.Fatal("of which version is client-go?")
	}
	_, cfg := start(t)
	for _, media := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		t.Run(media, func(t *testing.T) {
			var asked requests
			c := typed(t, asked.wrap(speaking(cfg, media)))
			inform(t, cfg, c, map[bool]string{true: "json", false: "proto"}[media == runtime.ContentTypeJSON])
			streams := asked.find(func(s seen) bool { return strings.Contains(s.query, "sendInitialEvents=true") })
			lists := asked.find(func(s seen) bool {
				return s.method == "GET" && s.path == "/api/v1/configmaps" && !strings.Contains(s.query, "watch=true")
			})
			if firstStreams() && (len(streams) == 0 || len(lists) > 0) || !firstStreams() && len(lists) == 0 {
				t.Errorf("streamed lists %v, lists %v", streams, lists)
			}
			if wrong := asked.find(func(s seen) bool { return !strings.HasPrefix(s.answered, media) }); len(wrong) > 0 {
				t.Errorf("in another media type: %v", wrong)
			}
		})
	}
	t.Run("dynamic", func(t *testing.T) {
		d, err := dynamic.NewForConfig(cfg)
		check(t, err)
		f := dynamicinformer.NewDynamicSharedInformerFactory(d, 0)
		i := f.ForResource(corev1.SchemeGroupVersion.WithResource("configmaps"))
		f.Start(ctx(t).Done())
		if !cache.WaitForCacheSync(ctx(t).Done(), i.Informer().HasSynced) {
			t.Fatal("never in sync")
		}
	})
	t.Run("metadata", func(t *testing.T) {
		m, err := metadata.NewForConfig(cfg)
		check(t, err)
		f := metadatainformer.NewSharedInformerFactory(m, 0)
		var l log
		i := f.ForResource(corev1.SchemeGroupVersion.WithResource("configmaps")).Informer()
		_, err = i.AddEventHandler(l.handler())
		check(t, err)
		f.Start(ctx(t).Done())
		eventually(t, "the root certificates' metadata", func() bool { return i.HasSynced() && l.has("add kube-root-ca.crt") })
		_, err = typed(t, cfg).CoreV1().ConfigMaps("default").Create(ctx(t), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "meta"}}, metav1.CreateOptions{})
		check(t, err)
		eventually(t, "the new one's metadata", func() bool { return l.has("add meta") })
	})
}

// inform follows one kind through additions, changes and deletions.
func inform(t *testing.T, cfg *rest.Config, c kubernetes.Interface, prefix string) {
	ctx, api := ctx(t), typed(t, cfg).CoreV1().ConfigMaps("default")
	before := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: prefix + "-before"}}
	before, err := api.Create(ctx, before, metav1.CreateOptions{})
	check(t, err)
	f := informers.NewSharedInformerFactory(c, 0)
	i := f.Core().V1().ConfigMaps()
	check(t, i.Informer().AddIndexers(cache.Indexers{"data": func(o any) ([]string, error) { return []string{o.(*corev1.ConfigMap).Data["key"]}, nil }}))
	var l log
	_, err = i.Informer().AddEventHandler(l.handler())
	check(t, err)
	f.Start(ctx.Done())
	for kind, ok := range f.WaitForCacheSync(ctx.Done()) {
		if !ok {
			t.Fatalf("%v is never in sync", kind)
		}
	}
	if _, err := i.Lister().ConfigMaps("default").Get(before.Name); err != nil {
		t.Fatal(err)
	}
	_, err = api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: prefix + "-new"}}, metav1.CreateOptions{})
	check(t, err)
	before.Data = map[string]string{"key": prefix}
	_, err = api.Update(ctx, before, metav1.UpdateOptions{})
	check(t, err)
	check(t, api.Delete(ctx, prefix+"-new", metav1.DeleteOptions{}))
	for _, line := range []string{"add " + prefix + "-before", "add " + prefix + "-new", "update " + prefix + "-before", "delete " + prefix + "-new"} {
		eventually(t, line, func() bool { return l.has(line) })
	}
	indexed, err := i.Informer().GetIndexer().ByIndex("data", prefix)
	check(t, err)
	if len(indexed) != 1 {
		t.Errorf("by index: %v", indexed)
	}

	// With selectors, what no longer matches is deleted.
	selected := informers.NewSharedInformerFactoryWithOptions(c, 0, informers.WithNamespace("default"), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = labels.Set{"in": prefix}.String()
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", before.Name).String()
	}))
	var s log
	_, err = selected.Core().V1().ConfigMaps().Informer().AddEventHandler(s.handler())
	check(t, err)
	selected.Start(ctx.Done())
	selected.WaitForCacheSync(ctx.Done())
	for _, step := range []struct{ patch, line string }{
		{`{"metadata":{"labels":{"in":"` + prefix + `"}}}`, "add " + before.Name},
		{`{"data":{"more":"1"}}`, "update " + before.Name},
		{`{"metadata":{"labels":{"in":null}}}`, "delete " + before.Name},
	} {
		_, err := api.Patch(ctx, before.Name, "application/merge-patch+json", []byte(step.patch), metav1.PatchOptions{})
		check(t, err)
		eventually(t, step.line, func() bool { return s.has(step.line) })
	}
}

// The server is killed and started again on the same data: informers go on, and
// miss nothing that happened before or after.
func TestRestart(t *testing.T) {
	server, cfg := start(t)
	ctx, c := ctx(t), typed(t, cfg)
	api := c.CoreV1().ConfigMaps("default")
	f := informers.NewSharedInformerFactory(c, 0)
	i := f.Core().V1().ConfigMaps().Informer()
	var l log
	_, err := i.AddEventHandler(l.handler())
	check(t, err)
	f.Start(ctx.Done())
	f.WaitForCacheSync(ctx.Done())
	create := func(name string) (cm *corev1.ConfigMap) {
		// The answer may be lost, with the connection that the server had left.
		eventually(t, name+" is created", func() bool {
			var err error
			cm, err = api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				cm, err = api.Get(ctx, name, metav1.GetOptions{})
			}
			if status := apierrors.APIStatus(nil); errors.As(err, &status) {
				t.Fatal(err)
			}
			return err == nil
		})
		return cm
	}
	gone := create("gone")
	eventually(t, "gone seen", func() bool { return l.has("add gone") })
	last := gone.ResourceVersion
	for n, end := range []func(){server.Kill, server.Stop, server.Kill} {
		end()
		check(t, server.Again())
		cm := create(fmt.Sprint("after-", n))
		if longer := len(cm.ResourceVersion) - len(last); longer < 0 || longer == 0 && cm.ResourceVersion <= last {
			t.Errorf("resource version %s after %s", cm.ResourceVersion, last)
		}
		last = cm.ResourceVersion
		if n == 0 {
			check(t, api.Delete(ctx, "gone", metav1.DeleteOptions{}))
			eventually(t, "gone is gone", func() bool { return l.has("delete gone") })
		}
		eventually(t, cm.Name, func() bool { return l.has("add " + cm.Name) })
	}
	got, err := api.Get(ctx, "after-0", metav1.GetOptions{})
	check(t, err)
	if got.UID == "" {
		t.Error(got)
	}

	// A watcher that keeps only the last revision is told what it missed, or to begin anew.
	w, err := watchtools.NewRetryWatcher(last, &cache.ListWatch{WatchFunc: func(o metav1.ListOptions) (watch.Interface, error) { return api.Watch(ctx, o) }})
	check(t, err)
	defer w.Stop()
	create("watched")
	for {
		select {
		case e := <-w.ResultChan():
			if cm, ok := e.Object.(*corev1.ConfigMap); ok && cm.Name == "watched" && e.Type == watch.Added {
				return
			}
		case <-time.After(90 * time.Second):
			t.Fatal("the watch tells nothing")
		}
	}
}

// The gates of client-go are read once from the environment: these run the tests
// above once more, each in a process of its own.
func TestGates(t *testing.T) {
	if os.Getenv("CLIENTGO_GATES") != "" {
		return
	}
	gates := map[string][]string{
		"streamed": {"KUBE_FEATURE_WatchListClient=true"},
		"listed":   {"KUBE_FEATURE_WatchListClient=false"},
		"cbor":     {"KUBE_FEATURE_ClientsAllowCBOR=true", "KUBE_FEATURE_ClientsPreferCBOR=true"},
	}
	if minor() < 32 {
		delete(gates, "cbor")
	}
	for name, env := range gates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := "^TestGated$"
			cmd := exec.Command(os.Args[0], "-test.run="+run, "-test.v")
			cmd.Env = append(os.Environ(), append(env, "CLIENTGO_GATES="+name)...)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestGated") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestGated(t *testing.T) {
	gate := os.Getenv("CLIENTGO_GATES")
	if gate == "" {
		t.Skip("TestGates runs this")
	}
	_, cfg := start(t)
	var asked requests
	if gate != "cbor" {
		inform(t, cfg, typed(t, asked.wrap(cfg)), gate)
		streams := asked.find(func(s seen) bool { return strings.Contains(s.query, "sendInitialEvents=true") })
		if (gate == "streamed") != (len(streams) > 0) {
			t.Errorf("streamed lists: %v", streams)
		}
		return
	}
	ctx := ctx(t)
	d, err := dynamic.NewForConfig(asked.wrap(cfg))
	check(t, err)
	api := d.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("default")
	_, err = typed(t, cfg).CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}, BinaryData: map[string][]byte{"b": {0, 255}}}, metav1.CreateOptions{})
	check(t, err)
	got, err := api.Get(ctx, "c", metav1.GetOptions{})
	check(t, err)
	got.SetLabels(map[string]string{"a": "b"})
	got, err = api.Update(ctx, got, metav1.UpdateOptions{})
	check(t, err)
	if got.GetLabels()["a"] != "b" {
		t.Error(got)
	}
	f := dynamicinformer.NewDynamicSharedInformerFactory(d, 0)
	i := f.ForResource(corev1.SchemeGroupVersion.WithResource("configmaps")).Informer()
	var l log
	_, err = i.AddEventHandler(l.handler())
	check(t, err)
	f.Start(ctx.Done())
	eventually(t, "the informer has it", func() bool { return l.has("add c") })
	check(t, api.Delete(ctx, "c", metav1.DeleteOptions{}))
	eventually(t, "the informer sees the deletion", func() bool { return l.has("delete c") })
	spoken := asked.find(func(s seen) bool { return strings.Contains(s.answered, "cbor") })
	if len(spoken) < 3 {
		t.Errorf("answers in CBOR: %v of %v", spoken, asked.seen)
	}
}
