package meta

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// fill sets a value at random; few things are set deep down.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	switch at := v.Addr().Interface().(type) {
	case *resource.Quantity:
		*at = resource.MustParse([]string{"0", "1", "1000m", "1k", "1Ki", "1024", "100m", "0.1", "123456789012345678901234567890"}[r.IntN(9)])
		return
	case *metav1.Time:
		*at = metav1.Unix(int64(r.IntN(3)), 0)
		if r.IntN(2) == 0 {
			*at = metav1.Time{Time: at.In(time.FixedZone("east", 3600))}
		}
		return
	case *metav1.MicroTime:
		*at = metav1.MicroTime{Time: time.Unix(int64(r.IntN(3)), 1000)}
		return
	case *metav1.FieldsV1:
		*at = *metav1.NewFieldsV1([]string{"", "{}"}[r.IntN(2)])
		return
	case *runtime.Object:
		*at = []runtime.Object{nil, &corev1.Pod{}, &corev1.Pod{Spec: corev1.PodSpec{NodeName: "a"}}}[r.IntN(3)]
		return
	}
	skip := depth > 3 && r.IntN(depth) > 2 || depth > 9
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(3)))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.IntN(3)))
	case reflect.Float64, reflect.Float32:
		v.SetFloat(float64(r.IntN(3)))
	case reflect.String:
		v.SetString([]string{"", "a", "b"}[r.IntN(3)])
	case reflect.Pointer:
		if !skip {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth+1)
		}
	case reflect.Slice:
		if n := r.IntN(4); !skip && n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n))
			for i := range n - 1 {
				fill(r, v.Index(i), depth+1)
			}
		}
	case reflect.Map:
		if n := r.IntN(4); !skip && n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n - 1 {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(r, key, depth+1)
				fill(r, value, depth+1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i), depth+1)
			}
		}
	}
}

// change changes something, or what does not matter, anywhere in the value.
func change(r *rand.Rand, v reflect.Value) {
	for {
		if _, ok := meanings[v.Type()]; ok || v.Kind() == reflect.Interface {
			fill(r, v, 3)
			return
		}
		switch {
		case v.Kind() == reflect.Pointer && !v.IsNil() && r.IntN(6) > 0:
			v = v.Elem()
		case v.Kind() == reflect.Slice && v.Len() > 0 && r.IntN(6) > 0:
			v = v.Index(r.IntN(v.Len()))
		case v.Kind() == reflect.Slice && v.Len() == 0:
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
			return
		case v.Kind() == reflect.Struct:
			v = v.Field(r.IntN(v.NumField()))
		default:
			fill(r, v, 3)
			return
		}
	}
}

// TestEqual holds Equal against the library, on pairs that differ in one place or none.
func TestEqual(t *testing.T) {
	for _, o := range []runtime.Object{&corev1.Pod{}, &corev1.Node{}, &corev1.PersistentVolume{}, &corev1.ConfigMap{}, &corev1.Secret{}, &corev1.Event{}, &appsv1.StatefulSet{}, &appsv1.ControllerRevision{},
		&batchv1.CronJob{}, &networkingv1.Ingress{}, &apiextensionsv1.CustomResourceDefinition{}, &certificatesv1.CertificateSigningRequest{}, &resourcev1.ResourceClaim{}} {
		typ := reflect.TypeOf(o).Elem()
		t.Run(typ.Name(), func(t *testing.T) {
			if comparison(typ) == nil {
				t.Fatal("left to the library")
			}
			equal := 0
			for seed := range uint64(400) {
				r := rand.New(rand.NewPCG(seed, 1))
				a := reflect.New(typ)
				fill(r, a.Elem(), 0)
				b := reflect.ValueOf(a.Interface().(runtime.Object).DeepCopyObject())
				for range r.IntN(3) {
					change(r, b.Elem())
				}
				want := equality.Semantic.DeepEqual(a.Interface(), b.Interface())
				if want {
					equal++
				}
				if got := Equal(a.Interface(), b.Interface()); got != want {
					t.Fatalf("seed %d: %t; by pointer\n%s", seed, got, Diff(a.Interface(), b.Interface()))
				}
				if got := Equal(a.Elem().Interface(), b.Elem().Interface()); got != want {
					t.Fatalf("seed %d: %t; by value\n%s", seed, got, Diff(a.Interface(), b.Interface()))
				}
			}
			if equal == 0 || equal == 400 {
				t.Errorf("%d pairs of 400 are equal", equal)
			}
		})
	}
}

func TestEqualOfOthers(t *testing.T) {
	hidden := struct{ a int }{1}
	var none *corev1.Pod
	for _, pair := range [][2]any{{nil, nil}, {1, 1}, {1, 2}, {1, "1"}, {nil, 1}, {"a", "a"}, {[]string{}, []string(nil)}, {map[string]string{}, map[string]string(nil)},
		{none, none}, {none, &corev1.Pod{}}, {&corev1.Pod{}, none}, {metav1.Duration{Duration: 1}, metav1.Duration{Duration: 1}}, {[2]int{1, 2}, [2]int{1, 3}}} {
		if got, want := Equal(pair[0], pair[1]), equality.Semantic.DeepEqual(pair[0], pair[1]); got != want {
			t.Errorf("%v: %t", pair, got)
		}
	}
	if comparison(reflect.TypeOf(hidden)) != nil {
		t.Error("a field that is not exported is compared")
	}
}

func BenchmarkEqual(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	p := &corev1.Pod{}
	fill(r, reflect.ValueOf(p).Elem(), 0)
	q := p.DeepCopy()
	b.ReportAllocs()
	for b.Loop() {
		if !Equal(p, q) {
			b.Fatal("a copy differs")
		}
	}
}
