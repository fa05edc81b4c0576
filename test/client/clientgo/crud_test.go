package clientgo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	appsclient "k8s.io/client-go/kubernetes/typed/apps/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"
)

func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "nginx"}}},
			},
		},
	}
}

func TestTyped(t *testing.T) {
	_, cfg := start(t)
	for _, media := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		t.Run(media, func(t *testing.T) { crud(t, cfg, media) })
	}
}

func crud(t *testing.T, cfg *rest.Config, media string) {
	var asked requests
	ctx, c := ctx(t), typed(t, asked.wrap(speaking(cfg, media)))
	ns, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "crud-"}}, metav1.CreateOptions{})
	check(t, err)
	api := c.AppsV1().Deployments(ns.Name)
	d, err := api.Create(ctx, deployment("web"), metav1.CreateOptions{FieldManager: "test"})
	check(t, err)
	if d.UID == "" || d.ResourceVersion == "" || *d.Spec.Replicas != 1 || d.Spec.Strategy.RollingUpdate == nil || d.ManagedFields[0].Manager != "test" {
		t.Fatalf("created %+v", d)
	}
	if _, err = api.Create(ctx, deployment("web"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	_, err = api.Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "bad"}}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.template.spec.containers: Required value") {
		t.Fatal(err)
	}

	// Somebody else was faster.
	old := d.DeepCopy()
	check(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if d, err = api.Get(ctx, "web", metav1.GetOptions{}); err == nil {
			d.Labels = map[string]string{"a": "b"}
			d, err = api.Update(ctx, d, metav1.UpdateOptions{})
		}
		return err
	}))
	if _, err = api.Update(ctx, old, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Fatal(err)
	}
	_, err = retryUpdateStatus(ctx, c.AppsV1().Deployments(ns.Name), d.Name)
	check(t, err)

	for _, p := range []struct {
		kind types.PatchType
		body string
	}{
		{types.JSONPatchType, `[{"op":"add","path":"/metadata/labels/json","value":"1"}]`},
		{types.MergePatchType, `{"metadata":{"labels":{"merge":"1"}}}`},
		{types.StrategicMergePatchType, `{"metadata":{"labels":{"strategic":"1"}},"spec":{"template":{"spec":{"containers":[{"name":"b","image":"b"}]}}}}`},
		{types.ApplyPatchType, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"apply":"1"}}}`},
	} {
		_, err := api.Patch(ctx, "web", p.kind, []byte(p.body), metav1.PatchOptions{FieldManager: "patcher"})
		check(t, err)
	}
	d, err = api.Get(ctx, "web", metav1.GetOptions{})
	check(t, err)
	for _, l := range []string{"a", "json", "merge", "strategic", "apply"} {
		if d.Labels[l] == "" {
			t.Errorf("label %s is missing: %v", l, d.Labels)
		}
	}
	if len(d.Spec.Template.Spec.Containers) != 2 {
		t.Errorf("containers: %v", d.Spec.Template.Spec.Containers)
	}
	_, err = api.Patch(ctx, "web", types.JSONPatchType, []byte(`[{"op":"test","path":"/spec/replicas","value":9}]`), metav1.PatchOptions{})
	if !apierrors.IsInvalid(err) {
		t.Errorf("a failed test of a JSON patch: %v", err)
	}

	check(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		sc, err := api.GetScale(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		sc.Spec.Replicas = 3
		sc, err = api.UpdateScale(ctx, "web", sc, metav1.UpdateOptions{})
		if err == nil && sc.Spec.Replicas != 3 {
			t.Errorf("scale: %+v", sc)
		}
		return err
	}))

	list, err := c.AppsV1().Deployments("").List(ctx, metav1.ListOptions{LabelSelector: "json=1", FieldSelector: "metadata.namespace=" + ns.Name})
	check(t, err)
	if len(list.Items) != 1 || list.ResourceVersion == "" {
		t.Errorf("list: %+v", list)
	}
	check(t, api.Delete(ctx, "web", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &d.UID}}))
	if err := api.Delete(ctx, "none", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		t.Error(err)
	}
	check(t, c.CoreV1().ConfigMaps(ns.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	if bad := asked.find(func(s seen) bool { return s.answered != "" && !strings.HasPrefix(s.answered, media) }); len(bad) > 0 {
		t.Errorf("answered in another media type: %v", bad)
	}
}

func retryUpdateStatus(ctx context.Context, api appsclient.DeploymentInterface, name string) (d *appsv1.Deployment, err error) {
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if d, err = api.Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: "Tested", Status: corev1.ConditionTrue})
		d, err = api.UpdateStatus(ctx, d, metav1.UpdateOptions{})
		return err
	})
	return d, err
}

// Many who count in one object lose nothing.
func TestRetryOnConflict(t *testing.T) {
	_, cfg := start(t)
	ctx, api := ctx(t), typed(t, cfg).CoreV1().ConfigMaps("default")
	_, err := api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "count"}}, metav1.CreateOptions{})
	check(t, err)
	patient := retry.DefaultBackoff
	patient.Steps, patient.Factor, patient.Jitter = 100, 1, 1
	var all sync.WaitGroup
	for i := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			err := retry.RetryOnConflict(patient, func() error {
				cm, err := api.Get(ctx, "count", metav1.GetOptions{})
				if err != nil {
					return err
				}
				if cm.Data == nil {
					cm.Data = map[string]string{}
				}
				cm.Data[fmt.Sprint(i)] = "1"
				_, err = api.Update(ctx, cm, metav1.UpdateOptions{})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	cm, err := api.Get(ctx, "count", metav1.GetOptions{})
	check(t, err)
	if len(cm.Data) != 8 {
		t.Errorf("counted %v", cm.Data)
	}
}

func TestServerSideApply(t *testing.T) {
	_, cfg := start(t)
	ctx, c := ctx(t), typed(t, cfg)
	labels := map[string]string{"app": "web"}
	want := appsapply.Deployment("web", "default").WithSpec(appsapply.DeploymentSpec().WithReplicas(2).
		WithSelector(metaapply.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(coreapply.PodTemplateSpec().WithLabels(labels).
			WithSpec(coreapply.PodSpec().WithContainers(coreapply.Container().WithName("a").WithImage("nginx")))))
	d, err := c.AppsV1().Deployments("default").Apply(ctx, want, metav1.ApplyOptions{FieldManager: "one"})
	check(t, err)
	if *d.Spec.Replicas != 2 {
		t.Fatal(*d.Spec.Replicas)
	}
	scaled := appsapply.Deployment("web", "default").WithSpec(appsapply.DeploymentSpec().WithReplicas(5))
	_, err = c.AppsV1().Deployments("default").Apply(ctx, scaled, metav1.ApplyOptions{FieldManager: "two"})
	if !apierrors.IsConflict(err) || !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict) {
		t.Fatal(err)
	}
	d, err = c.AppsV1().Deployments("default").Apply(ctx, scaled, metav1.ApplyOptions{FieldManager: "two", Force: true})
	check(t, err)
	mine, err := appsapply.ExtractDeployment(d, "two")
	check(t, err)
	if *mine.Spec.Replicas != 5 || mine.Spec.Template != nil {
		t.Errorf("two owns %+v", mine.Spec)
	}
	theirs, err := appsapply.ExtractDeployment(d, "one")
	check(t, err)
	if theirs.Spec.Replicas != nil || *theirs.Spec.Template.Spec.Containers[0].Image != "nginx" {
		t.Errorf("one owns %+v", theirs.Spec)
	}
	st := appsapply.Deployment("web", "default").WithStatus(appsapply.DeploymentStatus().
		WithConditions(appsapply.DeploymentCondition().WithType("Tested").WithStatus(corev1.ConditionTrue)))
	d, err = c.AppsV1().Deployments("default").ApplyStatus(ctx, st, metav1.ApplyOptions{FieldManager: "status"})
	check(t, err)
	if !slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == "Tested" }) {
		t.Errorf("status: %+v", d.Status)
	}
}

// Every kind that discovery names can be listed, as objects and as metadata.
func TestDiscoveryAndDynamic(t *testing.T) {
	_, cfg := start(t)
	cfg.WarningHandler = rest.NoWarnings{} // the deprecated are asked for as well
	ctx := ctx(t)
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	check(t, err)
	_, lists, err := disco.ServerGroupsAndResources()
	check(t, err)
	dyn, err := dynamic.NewForConfig(cfg)
	check(t, err)
	meta, err := metadata.NewForConfig(cfg)
	check(t, err)
	n := 0
	for _, l := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "watch"}}, lists) {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		check(t, err)
		for _, r := range l.APIResources {
			n++
			if _, err := dyn.Resource(gv.WithResource(r.Name)).List(ctx, metav1.ListOptions{Limit: 5}); err != nil {
				t.Errorf("list %v: %v", gv.WithResource(r.Name), err)
			}
			if _, err := meta.Resource(gv.WithResource(r.Name)).List(ctx, metav1.ListOptions{}); err != nil {
				t.Errorf("list metadata of %v: %v", gv.WithResource(r.Name), err)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d kinds", n)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	m, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	check(t, err)
	if m.Resource != appsv1.SchemeGroupVersion.WithResource("deployments") {
		t.Error(m.Resource)
	}
	if r, err := restmapper.NewShortcutExpander(mapper, disco, nil).ResourceFor(schema.GroupVersionResource{Resource: "deploy"}); err != nil || r.Resource != "deployments" {
		t.Error(r, err)
	}
	cms := dyn.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("default")
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "dyn"}, "data": map[string]any{"a": "b"}}}
	u, err = cms.Create(ctx, u, metav1.CreateOptions{})
	check(t, err)
	check(t, unstructured.SetNestedField(u.Object, "c", "data", "a"))
	_, err = cms.Update(ctx, u, metav1.UpdateOptions{})
	check(t, err)
	u, err = cms.Apply(ctx, "dyn", &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "dyn"}, "data": map[string]any{"b": "d"}}}, metav1.ApplyOptions{FieldManager: "dyn"})
	check(t, err)
	if a, _, _ := unstructured.NestedString(u.Object, "data", "a"); a != "c" {
		t.Error(u.Object)
	}

	_, err = typed(t, cfg).AppsV1().Deployments("default").Create(ctx, deployment("web"), metav1.CreateOptions{})
	check(t, err)
	scales, err := scale.NewForConfig(cfg, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(disco))
	check(t, err)
	sc, err := scales.Scales("default").Patch(ctx, appsv1.SchemeGroupVersion.WithResource("deployments"), "web", types.MergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{})
	check(t, err)
	if sc.Spec.Replicas != 4 {
		t.Error(sc)
	}
	v, err := disco.ServerVersion()
	check(t, err)
	if v.Major != "1" || v.Platform == "" {
		t.Errorf("%+v", v)
	}
	if _, err := disco.OpenAPISchema(); err != nil {
		t.Error(err)
	}
	if paths, err := disco.OpenAPIV3().Paths(); err != nil || paths["apis/apps/v1"] == nil {
		t.Error(paths, err)
	}
}

// Pages are of one revision, whatever is written meanwhile.
func TestPages(t *testing.T) {
	_, cfg := start(t)
	ctx, api := ctx(t), typed(t, cfg).CoreV1().ConfigMaps("default")
	for i := range 25 {
		_, err := api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%02d", i), Labels: map[string]string{"p": "1"}}}, metav1.CreateOptions{})
		check(t, err)
	}
	first, err := api.List(ctx, metav1.ListOptions{Limit: 10, LabelSelector: "p"})
	check(t, err)
	if len(first.Items) != 10 || first.Continue == "" {
		t.Fatalf("%d items, continue %q", len(first.Items), first.Continue)
	}
	check(t, api.Delete(ctx, "p20", metav1.DeleteOptions{}))
	second, err := api.List(ctx, metav1.ListOptions{Limit: 100, LabelSelector: "p", Continue: first.Continue})
	check(t, err)
	if len(second.Items) != 15 || second.ResourceVersion != first.ResourceVersion {
		t.Errorf("%d items at %s, want 15 at %s", len(second.Items), second.ResourceVersion, first.ResourceVersion)
	}
	var names []string
	p := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, o) }))
	p.PageSize = 7
	check(t, p.EachListItem(ctx, metav1.ListOptions{LabelSelector: "p"}, func(o runtime.Object) error {
		names = append(names, o.(*corev1.ConfigMap).Name)
		return nil
	}))
	if len(names) != 24 || !slices.IsSorted(names) {
		t.Error(names)
	}
}
