package apiserver

import (
	"encoding/binary"
	"net/http"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/skiff-k8s/skiff/internal/api/autoscaling/v2beta1"
	"github.com/skiff-k8s/skiff/internal/api/autoscaling/v2beta2"
)

const autoscalers = "/namespaces/default/horizontalpodautoscalers"

// TestOldAutoscalersProtobuf speaks the two versions that k8s.io/api has no types for in protobuf:
// objects, lists, events of watches, and what is broken.
func TestOldAutoscalersProtobuf(t *testing.T) {
	ask := versionServer(t, Options{})
	share := int32(50)
	first := &v2beta1.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: v2beta1.HorizontalPodAutoscalerSpec{MaxReplicas: 3,
		ScaleTargetRef: v2beta1.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d"},
		Metrics: []autoscalingv1.MetricSpec{{Type: autoscalingv1.ContainerResourceMetricSourceType,
			ContainerResource: &autoscalingv1.ContainerResourceMetricSource{Name: "cpu", Container: "c", TargetAverageUtilization: &share}}}}}
	body, _, err := envelope(v2beta1.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), first)
	if err != nil {
		t.Fatal(err)
	}
	one, two := "/apis/autoscaling/v2beta1"+autoscalers, "/apis/autoscaling/v2beta2"+autoscalers
	w := ask("POST", one, mediaProtobuf, mediaProtobuf, body)
	if w.Code != http.StatusCreated {
		t.Fatal(w.Code, w.Body)
	}
	var made, again v2beta1.HorizontalPodAutoscaler
	message(t, w.Body.Bytes(), "autoscaling/v2beta1, Kind=HorizontalPodAutoscaler", &made)
	if made.UID == "" || len(made.Spec.Metrics) != 1 || made.Spec.Metrics[0].ContainerResource.Container != "c" {
		t.Errorf("made %v", made)
	}
	var shown v2beta2.HorizontalPodAutoscaler
	message(t, ask("GET", two+"/a", mediaProtobuf, "", nil).Body.Bytes(), "autoscaling/v2beta2, Kind=HorizontalPodAutoscaler", &shown)
	if shown.UID != made.UID || shown.ResourceVersion != made.ResourceVersion || *shown.Spec.Metrics[0].ContainerResource.Target.AverageUtilization != 50 {
		t.Errorf("shown %v", shown)
	}
	for url, sent := range map[string]struct {
		gv schema.GroupVersion
		o  protoMessage
	}{one: {v2beta1.SchemeGroupVersion, &made}, two: {v2beta2.SchemeGroupVersion, &shown}} {
		body, _, err := envelope(sent.gv.WithKind("HorizontalPodAutoscaler"), sent.o)
		if err != nil {
			t.Fatal(err)
		}
		if w := ask("PUT", url+"/a", mediaJSON, mediaProtobuf, body); w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
		again = v2beta1.HorizontalPodAutoscaler{}
		message(t, ask("GET", one+"/a", mediaProtobuf, "", nil).Body.Bytes(), "autoscaling/v2beta1, Kind=HorizontalPodAutoscaler", &again)
		if again.ResourceVersion != made.ResourceVersion {
			t.Errorf("written anew: %s, was %s", again.ResourceVersion, made.ResourceVersion)
		}
	}
	var list v2beta1.HorizontalPodAutoscalerList
	message(t, ask("GET", one, mediaProtobuf, "", nil).Body.Bytes(), "autoscaling/v2beta1, Kind=HorizontalPodAutoscalerList", &list)
	if len(list.Items) != 1 || list.Items[0].UID != made.UID || list.Items[0].ResourceVersion != made.ResourceVersion || list.ResourceVersion == "" {
		t.Errorf("listed %v", list)
	}
	var list2 v2beta2.HorizontalPodAutoscalerList
	message(t, ask("GET", two+"?limit=2", mediaProtobuf, "", nil).Body.Bytes(), "autoscaling/v2beta2, Kind=HorizontalPodAutoscalerList", &list2)
	if len(list2.Items) != 1 || list2.Items[0].ResourceVersion != made.ResourceVersion {
		t.Errorf("listed %v", list2)
	}

	b := ask("GET", one+"?watch=true&resourceVersion=0&timeoutSeconds=1", mediaProtobuf, "", nil).Body.Bytes()
	if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint32(b)) {
		t.Fatalf("no event: %q", b)
	}
	var e metav1.WatchEvent
	if err := e.Unmarshal(b[4 : 4+binary.BigEndian.Uint32(b)]); err != nil || e.Type != "ADDED" {
		t.Fatal(e.Type, err)
	}
	var seen v2beta1.HorizontalPodAutoscaler
	message(t, e.Object.Raw, "autoscaling/v2beta1, Kind=HorizontalPodAutoscaler", &seen)
	if seen.UID != made.UID || seen.ResourceVersion != made.ResourceVersion {
		t.Errorf("watched %v", seen)
	}

	body, raw, _ := envelope(v2beta1.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), first)
	copy(raw[len(raw)-4:], "\xff\xff\xff\xff")
	if w := ask("POST", one, mediaJSON, mediaProtobuf, body); w.Code != http.StatusBadRequest {
		t.Errorf("what is broken: %d %s", w.Code, w.Body)
	}
}
