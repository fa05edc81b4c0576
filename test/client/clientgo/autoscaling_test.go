//go:build oldclients

// Only the older releases of client-go have clients for autoscaling/v2beta1 and v2beta2:
// `go test -modfile v0.34.mod -tags oldclients ./clientgo`.

package clientgo

import (
	"strings"
	"testing"

	autoscalingv2beta1 "k8s.io/api/autoscaling/v2beta1"
	autoscalingv2beta2 "k8s.io/api/autoscaling/v2beta2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apply1 "k8s.io/client-go/applyconfigurations/autoscaling/v2beta1"
	apply2 "k8s.io/client-go/applyconfigurations/autoscaling/v2beta2"
	"k8s.io/client-go/rest"
)

func TestOldAutoscalers(t *testing.T) {
	_, cfg := start(t)
	cfg.WarningHandler = rest.NoWarnings{}
	for _, media := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		t.Run(media, func(t *testing.T) { oldAutoscalers(t, cfg, media) })
	}
}

func amount(s string) resource.Quantity { return resource.MustParse(s) }

// metrics are one of every kind that v2beta1 has.
func metrics() []autoscalingv2beta1.MetricSpec {
	half, gig, five, share := int32(50), amount("1Gi"), amount("5"), int32(60)
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"queue": "tasks"}}
	target := autoscalingv2beta1.CrossVersionObjectReference{APIVersion: "v1", Kind: "Service", Name: "s"}
	return []autoscalingv2beta1.MetricSpec{
		{Type: "Resource", Resource: &autoscalingv2beta1.ResourceMetricSource{Name: corev1.ResourceCPU, TargetAverageUtilization: &half}},
		{Type: "Resource", Resource: &autoscalingv2beta1.ResourceMetricSource{Name: corev1.ResourceMemory, TargetAverageValue: &gig}},
		{Type: "ContainerResource", ContainerResource: &autoscalingv2beta1.ContainerResourceMetricSource{Name: corev1.ResourceCPU, Container: "app", TargetAverageUtilization: &share}},
		{Type: "Pods", Pods: &autoscalingv2beta1.PodsMetricSource{MetricName: "hits", Selector: selector, TargetAverageValue: amount("1k")}},
		{Type: "Object", Object: &autoscalingv2beta1.ObjectMetricSource{Target: target, MetricName: "hits", TargetValue: amount("10k")}},
		{Type: "External", External: &autoscalingv2beta1.ExternalMetricSource{MetricName: "ready", MetricSelector: selector, TargetAverageValue: &five}},
	}
}

func oldAutoscalers(t *testing.T, cfg *rest.Config, media string) {
	var asked requests
	ctx, c := ctx(t), typed(t, asked.wrap(speaking(cfg, media)))
	ns, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "hpa-"}}, metav1.CreateOptions{})
	check(t, err)
	one, two, now := c.AutoscalingV2beta1().HorizontalPodAutoscalers(ns.Name), c.AutoscalingV2beta2().HorizontalPodAutoscalers(ns.Name), c.AutoscalingV2().HorizontalPodAutoscalers(ns.Name)
	list, err := one.List(ctx, metav1.ListOptions{})
	check(t, err)
	watch1, err := one.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	check(t, err)
	defer watch1.Stop()
	watch2, err := two.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	check(t, err)
	defer watch2.Stop()

	made, err := one.Create(ctx, &autoscalingv2beta1.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: autoscalingv2beta1.HorizontalPodAutoscalerSpec{MaxReplicas: 5, Metrics: metrics(),
			ScaleTargetRef: autoscalingv2beta1.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}},
	}, metav1.CreateOptions{FieldManager: "test"})
	check(t, err)
	if made.UID == "" || *made.Spec.MinReplicas != 1 || !equality.Semantic.DeepEqual(made.Spec.Metrics, metrics()) {
		t.Fatalf("created %+v", made)
	}
	if e := <-watch1.ResultChan(); e.Type != "ADDED" || !equality.Semantic.DeepEqual(e.Object.(*autoscalingv2beta1.HorizontalPodAutoscaler).Spec, made.Spec) {
		t.Fatalf("watched %+v", e)
	}
	if e := <-watch2.ResultChan(); e.Type != "ADDED" || e.Object.(*autoscalingv2beta2.HorizontalPodAutoscaler).UID != made.UID {
		t.Fatalf("watched %+v", e)
	}

	// The same in the other versions.
	shown, err := two.Get(ctx, "web", metav1.GetOptions{})
	check(t, err)
	m := shown.Spec.Metrics
	if len(m) != 6 || *m[0].Resource.Target.AverageUtilization != 50 || m[2].ContainerResource.Container != "app" || m[3].Pods.Metric.Selector.MatchLabels["queue"] != "tasks" ||
		m[4].Object.DescribedObject.Name != "s" || m[4].Object.Target.Value.String() != "10k" || m[5].External.Target.AverageValue.String() != "5" {
		t.Fatalf("in v2beta2: %+v", shown)
	}
	today, err := now.Get(ctx, "web", metav1.GetOptions{})
	check(t, err)
	if today.UID != made.UID || today.ResourceVersion != made.ResourceVersion || len(today.Spec.Metrics) != 6 {
		t.Fatalf("in v2: %+v", today)
	}

	// What one version changes another reads and keeps.
	window := int32(60)
	shown.Spec.Behavior = &autoscalingv2beta2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2beta2.HPAScalingRules{StabilizationWindowSeconds: &window}}
	shown, err = two.Update(ctx, shown, metav1.UpdateOptions{})
	check(t, err)
	if shown.Spec.Behavior.ScaleUp == nil || *shown.Spec.Behavior.ScaleDown.SelectPolicy != autoscalingv2beta2.MaxPolicySelect {
		t.Fatalf("updated %+v", shown.Spec.Behavior)
	}
	made, err = one.Get(ctx, "web", metav1.GetOptions{})
	check(t, err)
	if !strings.Contains(made.Annotations["autoscaling.alpha.kubernetes.io/behavior"], `"StabilizationWindowSeconds":60`) {
		t.Errorf("annotations %v", made.Annotations)
	}
	made.Spec.MaxReplicas = 7
	made, err = one.Update(ctx, made, metav1.UpdateOptions{})
	check(t, err)
	made.Status = autoscalingv2beta1.HorizontalPodAutoscalerStatus{CurrentReplicas: 2, DesiredReplicas: 3,
		CurrentMetrics: []autoscalingv2beta1.MetricStatus{
			{Type: "Resource", Resource: &autoscalingv2beta1.ResourceMetricStatus{Name: corev1.ResourceCPU, CurrentAverageUtilization: &window, CurrentAverageValue: amount("300m")}},
			{Type: "ContainerResource", ContainerResource: &autoscalingv2beta1.ContainerResourceMetricStatus{Name: corev1.ResourceCPU, Container: "app", CurrentAverageValue: amount("100m")}}},
		Conditions: []autoscalingv2beta1.HorizontalPodAutoscalerCondition{{Type: autoscalingv2beta1.AbleToScale, Status: corev1.ConditionTrue, Reason: "Ready"}}}
	want := made.Status
	made, err = one.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	check(t, err)
	if !equality.Semantic.DeepEqual(made.Status, want) {
		t.Errorf("status %+v, want %+v", made.Status, want)
	}
	shown, err = two.Get(ctx, "web", metav1.GetOptions{})
	check(t, err)
	if shown.Spec.MaxReplicas != 7 || *shown.Spec.Behavior.ScaleDown.StabilizationWindowSeconds != 60 || shown.Status.CurrentMetrics[1].ContainerResource.Container != "app" ||
		shown.Status.Conditions[0].Type != autoscalingv2beta2.AbleToScale {
		t.Errorf("in v2beta2: %+v", shown)
	}
	oldPatches(t, cfg, media, ns.Name)

	list, err = one.List(ctx, metav1.ListOptions{Limit: 5})
	check(t, err)
	list2, err := two.List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	check(t, err)
	if len(list.Items) != 1 || len(list2.Items) != 1 || list.Items[0].Spec.MaxReplicas != list2.Items[0].Spec.MaxReplicas || len(list.Items[0].Spec.Metrics) != len(list2.Items[0].Spec.Metrics) {
		t.Errorf("lists: %+v, %+v", list, list2)
	}
	check(t, two.Delete(ctx, "web", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &made.UID}}))
	for e := range watch1.ResultChan() {
		if o := e.Object.(*autoscalingv2beta1.HorizontalPodAutoscaler); e.Type == "DELETED" && o.UID == made.UID {
			break
		} else if e.Type != "MODIFIED" {
			t.Fatalf("watched %+v", e)
		}
	}
	if bad := asked.find(func(s seen) bool { return s.answered != "" && !strings.HasPrefix(s.answered, media) }); len(bad) > 0 {
		t.Errorf("answered in another media type: %v", bad)
	}
}

// oldPatches patches and applies in both versions.
func oldPatches(t *testing.T, cfg *rest.Config, media, ns string) {
	ctx, c := ctx(t), typed(t, speaking(cfg, media))
	one, two := c.AutoscalingV2beta1().HorizontalPodAutoscalers(ns), c.AutoscalingV2beta2().HorizontalPodAutoscalers(ns)
	for kind, body := range map[types.PatchType]string{
		types.JSONPatchType:           `[{"op":"replace","path":"/spec/metrics/0/resource/targetAverageUtilization","value":55}]`,
		types.MergePatchType:          `{"metadata":{"labels":{"merge":"1"}}}`,
		types.StrategicMergePatchType: `{"metadata":{"labels":{"strategic":"1"}}}`,
	} {
		_, err := one.Patch(ctx, "web", kind, []byte(body), metav1.PatchOptions{FieldManager: "patcher"})
		check(t, err)
	}
	o, err := two.Patch(ctx, "web", types.StrategicMergePatchType, []byte(`{"spec":{"minReplicas":2}}`), metav1.PatchOptions{FieldManager: "patcher"})
	check(t, err)
	if len(o.Labels) != 2 || *o.Spec.MinReplicas != 2 || *o.Spec.Metrics[0].Resource.Target.AverageUtilization != 55 {
		t.Errorf("patched to %+v", o)
	}
	applied, err := one.Apply(ctx, apply1.HorizontalPodAutoscaler("web", ns).WithSpec(apply1.HorizontalPodAutoscalerSpec().WithMaxReplicas(9)), metav1.ApplyOptions{FieldManager: "applier", Force: true})
	check(t, err)
	if applied.Spec.MaxReplicas != 9 || len(applied.Spec.Metrics) != 6 {
		t.Errorf("applied %+v", applied.Spec)
	}
	o, err = two.Apply(ctx, apply2.HorizontalPodAutoscaler("web", ns).WithLabels(map[string]string{"applied": "1"}), metav1.ApplyOptions{FieldManager: "applier2"})
	check(t, err)
	if o.Labels["applied"] != "1" || o.Spec.MaxReplicas != 9 {
		t.Errorf("applied %+v", o)
	}
}
