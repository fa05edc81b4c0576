package meta

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestGoNames(t *testing.T) {
	type Inner struct{ A int }
	type outer struct {
		Inner
		B []string `json:"b"`
		C *Inner
		D any
		T metav1.Time
		Q resource.Quantity
		M map[string]string
	}
	for want, v := range map[string]any{
		`{"A":1,"B":["x","z"],"C":{"A":2},"D":"d","T":null,"Q":"1","M":{"k":"v"}}`: outer{Inner{1}, []string{"x", "z"}, &Inner{2}, "d", metav1.Time{}, resource.MustParse("1"), map[string]string{"k": "v"}},
		`{"A":0,"B":null,"C":null,"D":null,"T":null,"Q":"0","M":null}`:             &outer{},
		`[]`:   []corev1.Taint{},
		`null`: []corev1.Taint(nil),
		`5`:    5,
	} {
		got, err := json.Marshal(GoNames(v))
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	for _, v := range []any{
		func() {}, []any{func() {}}, struct{ F func() }{}, &struct{ C chan int }{}, struct{ E Embedded }{}, struct{ Embedded }{},
	} {
		if got, err := json.Marshal(GoNames(v)); err == nil {
			t.Errorf("%T: %s", v, got)
		}
	}
}

// Embedded has no JSON.
type Embedded struct{ F func() }

func TestNumbers(t *testing.T) {
	percent, number, text := intstr.FromString("0%"), intstr.FromInt32(0), intstr.FromString("x%")
	more := intstr.FromString("101%")
	at := field.NewPath("a")
	for _, c := range []struct {
		v    *intstr.IntOrString
		zero bool
	}{{nil, true}, {&percent, true}, {&number, true}, {&text, true}, {&more, false}} {
		if IsZero(c.v) != c.zero {
			t.Errorf("%v: %v", c.v, !c.zero)
		}
	}
	if errs := PercentAtMost100(&more, at); len(errs) != 1 || !strings.Contains(errs[0].Error(), "must not be greater than 100%") {
		t.Error(errs)
	}
	if errs := append(PercentAtMost100(&number, at), PercentAtMost100(nil, at)...); len(errs) > 0 {
		t.Error(errs)
	}
	if errs := NumberOrPercent(&text, at); len(errs) != 1 {
		t.Error(errs)
	}
}

func TestSelectorMisses(t *testing.T) {
	labels := func(kv ...string) *metav1.LabelSelector {
		s := &metav1.LabelSelector{MatchLabels: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			s.MatchLabels[kv[i]] = kv[i+1]
		}
		return s
	}
	exists := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "b", Operator: metav1.LabelSelectorOpExists}}}
	for _, c := range []struct {
		what   string
		s      *metav1.LabelSelector
		misses bool
		err    bool
	}{
		{"nothing", nil, true, false},
		{"everything", &metav1.LabelSelector{}, false, false},
		{"the label", labels("a", "x"), false, false},
		{"another value", labels("a", "z"), true, false},
		{"another label", labels("b", "x"), true, false},
		{"what is there", exists, true, false},
		{"a key that is none", labels("a b", "x"), false, true},
		{"a value that is none", labels("a", "x y"), false, true},
		{"an operator that is none", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}, false, true},
	} {
		misses, err := SelectorMisses(c.s, map[string]string{"a": "x"})
		if misses != c.misses || (err != nil) != c.err {
			t.Errorf("%s: %v, %v", c.what, misses, err)
		}
	}
}

func TestDiff(t *testing.T) {
	type part struct {
		A int            `json:"a,omitempty"`
		B []string       `json:"b,omitempty"`
		C map[string]any `json:"c,omitempty"`
	}
	for want, c := range map[string][2]any{
		"":                                     {part{A: 1}, part{A: 1}},
		"- a: 1\n+ a: 2\n":                     {part{A: 1}, part{A: 2}},
		"+ a: 2\n":                             {part{}, part{A: 2}},
		"- b[1]: \"y\"\n":                      {part{B: []string{"x", "y"}}, part{B: []string{"x"}}},
		"+ b[1]: \"y\"\n":                      {part{B: []string{"x"}}, part{B: []string{"x", "y"}}},
		"- c.k: 1\n+ c.k: \"1\"\n":             {part{C: map[string]any{"k": 1}}, part{C: map[string]any{"k": "1"}}},
		"- c.k: {\"x\":1}\n+ c.k: [1]\n":       {part{C: map[string]any{"k": map[string]int{"x": 1}}}, part{C: map[string]any{"k": []int{1}}}},
		"- c: {\"n\":9223372036854775807}\n":   {part{C: map[string]any{"n": int64(9223372036854775807)}}, part{C: map[string]any{}}},
		"+ : {\"a\":1}\n":                      {func() {}, part{A: 1}}, // what has no JSON is nothing
		"- c.k: [1]\n+ c.k: {\"x\":1}\n":       {part{C: map[string]any{"k": []int{1}}}, part{C: map[string]any{"k": map[string]int{"x": 1}}}},
		"- a: 1\n+ b: [\"x\"]\n- c: {}\n" + "": {map[string]any{"a": 1, "c": map[string]any{}}, map[string]any{"b": []string{"x"}}},
	} {
		if got := Diff(c[0], c[1]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestEqualOther compares what objects do not consist of.
func TestEqualOther(t *testing.T) {
	type small struct {
		A int16
		B uint16
		C float32
	}
	type handler struct{ F func() }
	for _, c := range []struct {
		a, b any
		want bool
	}{
		{small{1, 2, 3}, small{1, 2, 3}, true},
		{small{1, 2, 3}, small{2, 2, 3}, false},
		{small{1, 2, 3}, small{1, 3, 3}, false},
		{small{1, 2, 3}, small{1, 2, 4}, false},
		{&handler{}, &handler{F: func() {}}, false},
		{handler{}, handler{}, true},
		{1, int64(1), false},
		{nil, nil, true},
		{map[string]int{"a": 1}, map[string]int{"b": 1}, false},
		{map[string]int{"a": 1}, map[string]int{"a": 2}, false},
		{map[string]int{"a": 1}, map[string]int{"a": 1}, true},
	} {
		if Equal(c.a, c.b) != c.want {
			t.Errorf("%#v and %#v: %v", c.a, c.b, !c.want)
		}
	}
}
