package core

import (
	"math/rand/v2"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TestValidCostsNothing: objects that are right are checked without a single allocation.
func TestValidCostsNothing(t *testing.T) {
	pod, service, node, config := realPod(t), realService(t), realNode(t), realConfigMap(t)
	old := pod.DeepCopy()
	defaultService(service)
	for name, check := range map[string]func() field.ErrorList{
		"pod":           func() field.ErrorList { return validatePod(pod) },
		"pod update":    func() field.ErrorList { return validatePodUpdate(pod, old) },
		"pod status":    func() field.ErrorList { return validatePodStatusUpdate(pod, old) },
		"service":       func() field.ErrorList { return validateServiceUpdate(service, service) },
		"node":          func() field.ErrorList { return validateNodeUpdate(node, node) },
		"configmap":     func() field.ErrorList { return validateConfigMapUpdate(config, config) },
		"pod defaults":  func() field.ErrorList { defaultPod(pod); return nil },
		"pod warnings":  func() field.ErrorList { return make(field.ErrorList, len(warnPod(pod, nil))) },
		"node defaults": func() field.ErrorList { defaultNode(node); return nil },
	} {
		if errs := check(); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs.ToAggregate())
		}
		if n := testing.AllocsPerRun(50, func() { check() }); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestPathsChangeNothing: a check finds as much without paths as with them, whatever is wrong.
func TestPathsChangeNothing(t *testing.T) {
	original := realPod(t)
	at := field.NewPath("spec")
	wrong := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := original.DeepCopy()
		for range 1 + r.IntN(3) {
			spoil(r, reflect.ValueOf(&p.Spec).Elem())
		}
		first, told := validatePodSpec(&p.Spec, &p.ObjectMeta, nil, false), validatePodSpec(&p.Spec, &p.ObjectMeta, at, false)
		if len(first) != len(told) {
			t.Errorf("seed %d: %d errors without paths, with them %v", seed, len(first), told)
		}
		if len(told) > 0 {
			wrong++
		}
		if (len(podSpecWarnings(&p.Spec, nil)) > 0) != (len(podSpecWarnings(&p.Spec, at)) > 0) {
			t.Errorf("seed %d: warnings differ", seed)
		}
	}
	if wrong < 500 {
		t.Errorf("only %d pods of 3000 are wrong", wrong)
	}
}

// spoil writes something unfit into a place of the value.
func spoil(r *rand.Rand, v reflect.Value) {
	switch at := v.Addr().Interface().(type) {
	case *resource.Quantity:
		*at = resource.MustParse([]string{"-1", "100m", "3Mi"}[r.IntN(3)])
		return
	case *metav1.Time:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		spoil(r, v.Field(r.IntN(v.NumField())))
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		spoil(r, v.Elem())
	case reflect.Slice:
		if v.Len() == 0 || r.IntN(5) == 0 {
			v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
		}
		spoil(r, v.Index(r.IntN(v.Len())))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		spoil(r, key)
		spoil(r, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString([]string{"", "-", "../x", "Not_a_label", "web", "10.0.0.256", "hugepages-2Mi", string(corev1.SeccompProfileTypeLocalhost)}[r.IntN(8)])
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int32, reflect.Int64:
		v.SetInt([]int64{-1, 0, 1 << 17, 1}[r.IntN(4)])
	}
}
