package v2beta1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/randfill"
)

// wire is what a message of this package offers.
type wire interface {
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
	Unmarshal([]byte) error
}

func written(t *testing.T, m wire) []byte {
	t.Helper()
	b := make([]byte, m.Size())
	if n, err := m.MarshalToSizedBuffer(b); err != nil || n != len(b) {
		t.Fatalf("%d of %d bytes written: %v", n, len(b), err)
	}
	return b
}

func filled(seed int64, into any) {
	randfill.NewWithSeed(seed).NilChance(0.3).NumElements(1, 3).MaxDepth(14).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(int64(c.Intn(9)), resource.DecimalSI)
		},
		func(t *metav1.Time, c randfill.Continue) { *t = metav1.Unix(int64(c.Intn(9)+1), 0) },
		func(f *metav1.FieldsV1, c randfill.Continue) { f.Raw = []byte("{}") },
		func(m *metav1.TypeMeta, c randfill.Continue) {},
	).Fill(into)
}

func TestProtobufLosesNothing(t *testing.T) {
	for seed := range int64(100) {
		var l, back HorizontalPodAutoscalerList
		filled(seed, &l)
		if err := back.Unmarshal(written(t, &l)); err != nil || !equality.Semantic.DeepEqual(l, back) {
			t.Fatalf("seed %d: %v\n%s", seed, err, cmp.Diff(l, back))
		}
		if copied := l.DeepCopyObject(); !equality.Semantic.DeepEqual(&l, copied) {
			t.Fatalf("seed %d: the copy differs:\n%s", seed, cmp.Diff(&l, copied))
		}
	}
}

// TestCopiesShareNothing changes copies by reading them over with another object.
func TestCopiesShareNothing(t *testing.T) {
	for seed := range int64(50) {
		var l HorizontalPodAutoscalerList
		filled(seed, &l)
		before := written(t, &l)
		c := l.DeepCopyObject().(*HorizontalPodAutoscalerList)
		for i := range c.Items {
			o := &c.Items[i]
			if o.Spec.MinReplicas != nil {
				*o.Spec.MinReplicas++
			}
			if o.Status.ObservedGeneration != nil {
				*o.Status.ObservedGeneration++
			}
			if o.Status.LastScaleTime != nil {
				*o.Status.LastScaleTime = metav1.Unix(99, 0)
			}
			for k := range o.Labels {
				o.Labels[k] = "changed"
			}
			for j := range o.Spec.Metrics {
				o.Spec.Metrics[j] = autoscalingv1.MetricSpec{Type: "changed"}
			}
			for j := range o.Status.Conditions {
				o.Status.Conditions[j].Reason = "changed"
			}
		}
		if string(written(t, &l)) != string(before) {
			t.Fatalf("seed %d: the original changed", seed)
		}
	}
}

// TestContainerHasItsNumber: the number of the container is that of this version.
func TestContainerHasItsNumber(t *testing.T) {
	o := HorizontalPodAutoscaler{Spec: HorizontalPodAutoscalerSpec{Metrics: []autoscalingv1.MetricSpec{{Type: "ContainerResource",
		ContainerResource: &autoscalingv1.ContainerResourceMetricSource{Name: "cpu", Container: "c"}}}}}
	field := func(n protowire.Number, b []byte) []byte { return appendBytes(nil, n, b) }
	find := func(b []byte, path ...protowire.Number) (found []byte) {
		for _, want := range path {
			var at []byte
			if err := eachField(b, func(n protowire.Number, content, _ []byte) error {
				if n == want {
					at = content
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			b = at
		}
		return b
	}
	b := written(t, &o)
	if got := find(b, 2, specMetrics, metricOfContainer, containerHere); string(got) != "c" {
		t.Errorf("the container is %q in %x", got, b)
	}
	if got := find(b, 2, specMetrics, metricOfContainer, containerInV1); got != nil {
		t.Errorf("field 5 is %q", got)
	}
	// What nobody has defined is passed over.
	inner := append(field(containerHere, []byte("here")), field(containerInV1, []byte("not here"))...)
	b = field(2, field(specMetrics, field(metricOfContainer, inner)))
	var back HorizontalPodAutoscaler
	if err := back.Unmarshal(b); err != nil || back.Spec.Metrics[0].ContainerResource.Container != "here" {
		t.Errorf("%+v, %v", back.Spec.Metrics, err)
	}
}

func TestMessagesMerge(t *testing.T) {
	o := HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: HorizontalPodAutoscalerSpec{MaxReplicas: 3, Metrics: []autoscalingv1.MetricSpec{{Type: "x"}}},
		Status: HorizontalPodAutoscalerStatus{CurrentReplicas: 2}}
	more := HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7"}}
	meta, err := appendMarshaled(nil, 1, &more.ObjectMeta)
	if err != nil {
		t.Fatal(err)
	}
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 5)
	spec := appendBytes(nil, 2, appendBytes(nil, specMetrics, nil))
	b := append(append(append(written(t, &o), meta...), unknown...), spec...)
	var back HorizontalPodAutoscaler
	if err := back.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if back.ResourceVersion != "7" || back.Spec.MaxReplicas != 3 || len(back.Spec.Metrics) != 2 || back.Status.CurrentReplicas != 2 {
		t.Errorf("%+v", back)
	}
}

func TestMalformed(t *testing.T) {
	for name, b := range map[string][]byte{
		"cut short":             {0x0a, 5, 1},
		"no number":             {0x02, 0},
		"metadata is a number":  {0x08, 1},
		"a spec is a number":    {0x10, 1},
		"a status that is cut":  {0x1a, 2, 0x32, 9},
		"a metric is a number":  {0x12, 2, 0x20, 1},
		"conditions are number": {0x1a, 2, 0x30, 1},
		"a container cut short": {0x12, 6, 0x22, 4, 0x3a, 2, 0x22, 9},
		"a varint without end":  {0x12, 3, 0x18, 0xff, 0xff},
	} {
		if err := new(HorizontalPodAutoscaler).Unmarshal(b); err == nil {
			t.Errorf("%s: read", name)
		}
		if err := new(HorizontalPodAutoscalerList).Unmarshal(appendBytes(nil, 2, b)); err == nil {
			t.Errorf("%s: read in a list", name)
		}
	}
}

// FuzzUnmarshal: what can be read can be written, and read to the same.
func FuzzUnmarshal(f *testing.F) {
	for seed := range int64(10) {
		var o HorizontalPodAutoscaler
		filled(seed, &o)
		b := make([]byte, o.Size())
		if _, err := o.MarshalToSizedBuffer(b); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, back HorizontalPodAutoscaler
		if o.Unmarshal(b) != nil {
			return
		}
		again := written(t, &o)
		if err := back.Unmarshal(again); err != nil {
			t.Fatalf("%x: %v", again, err)
		}
		if string(written(t, &back)) != string(again) {
			t.Fatalf("%x is written as %x", again, written(t, &back))
		}
	})
}
