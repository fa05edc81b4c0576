package v2beta2

import (
	"encoding/json"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/randfill"
)

func TestSameAsV2(t *testing.T) {
	for seed := range int64(50) {
		var l, back HorizontalPodAutoscalerList
		randfill.NewWithSeed(seed).NilChance(0.3).NumElements(1, 3).MaxDepth(14).Funcs(
			func(q *resource.Quantity, c randfill.Continue) {
				*q = *resource.NewQuantity(int64(c.Intn(9)), resource.DecimalSI)
			},
			func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(int64(c.Intn(9)+1), 0) },
			func(f *metav1.FieldsV1, c randfill.Continue) { f.Raw = []byte("{}") },
			func(m *metav1.TypeMeta, c randfill.Continue) {},
		).Fill(&l)
		b := make([]byte, l.Size())
		if _, err := l.MarshalToSizedBuffer(b); err != nil {
			t.Fatal(err)
		}
		var v2 autoscalingv2.HorizontalPodAutoscalerList
		if err := v2.Unmarshal(b); err != nil || !equality.Semantic.DeepEqual(&v2, l.v2()) {
			t.Fatalf("seed %d: as v2 it is %+v, %v", seed, v2, err)
		}
		if err := back.Unmarshal(b); err != nil || !equality.Semantic.DeepEqual(l, back) || !equality.Semantic.DeepEqual(&l, l.DeepCopyObject()) {
			t.Fatalf("seed %d: %+v came back as %+v, %v", seed, l, back, err)
		}
		for i := range l.Items {
			var one HorizontalPodAutoscaler
			b := make([]byte, l.Items[i].Size())
			if _, err := l.Items[i].MarshalToSizedBuffer(b); err != nil {
				t.Fatal(err)
			}
			if err := one.Unmarshal(b); err != nil || !equality.Semantic.DeepEqual(&one, l.Items[i].DeepCopyObject()) {
				t.Fatalf("seed %d: %+v came back as %+v, %v", seed, l.Items[i], one, err)
			}
		}
	}
}

// TestStatusOfItsTime: what is nothing is said, as it was before autoscaling/v2 left it out.
func TestStatusOfItsTime(t *testing.T) {
	b, err := json.Marshal(&HorizontalPodAutoscaler{})
	if err != nil || !strings.HasSuffix(string(b), `"status":{"currentReplicas":0,"desiredReplicas":0,"currentMetrics":null,"conditions":null}}`) {
		t.Errorf("%s, %v", b, err)
	}
}
