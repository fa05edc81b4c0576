package apiregistration

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/skiff-k8s/skiff/internal/api"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

type cause struct{ Field, Type, Message string }

// TestRecorded holds the row to what kube-apiserver 1.36 answered to new objects.
func TestRecorded(t *testing.T) {
	f, err := os.Open("testdata/recorded.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var c struct {
			ID     string
			Body   json.RawMessage
			Code   int
			Causes []cause
			Object json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.ID, func(t *testing.T) {
			o := &apiregistrationv1.APIService{}
			if err := json.Unmarshal(c.Body, o); err != nil {
				t.Fatal(err)
			}
			// What the server does to the metadata of every new object.
			o.ResourceVersion, o.UID, o.DeletionTimestamp = "", "", nil
			errs := create(o)
			var got []cause
			for _, e := range errs {
				got = append(got, cause{e.Field, string(e.Type), e.ErrorBody()})
			}
			if !reflect.DeepEqual(got, c.Causes) || (c.Code == 201) != (len(errs) == 0) {
				t.Errorf("got %+v\nwant %+v", got, c.Causes)
			}
			if c.Object == nil {
				return
			}
			var want map[string]any
			json.Unmarshal(c.Object, &want)
			o.APIVersion, o.Kind = "apiregistration.k8s.io/v1", "APIService"
			b, _ := json.Marshal(o)
			var have map[string]any
			json.Unmarshal(b, &have)
			if !reflect.DeepEqual(have, want) {
				t.Errorf("got %v\nwant %v", have, want)
			}
		})
	}
	if n != 12 {
		t.Errorf("%d cases", n)
	}
}

// create does what the server does to a new object.
func create(o *apiregistrationv1.APIService) field.ErrorList {
	r := rows[0]
	r.Default(o)
	r.Prepare(o)
	errs := validation.ValidateObjectMetaAccessor(o, r.Namespaced, validation.ValidateNameFunc(r.Name), field.NewPath("metadata"))
	return append(errs, r.Validate(o)...)
}

// TestGolden: an object (or two: the second after ~~~ replaces the first), a line with =>, and what becomes of it.
func TestGolden(t *testing.T) {
	const file = "testdata/apiservice.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, block := range strings.Split(strings.TrimSpace(string(data)), "\n----\n") {
		given, want, _ := strings.Cut(block, "\n=>\n")
		given, want = strings.TrimSpace(given), strings.TrimSpace(want)
		got := strings.TrimSpace(outcome(t, given))
		if got != want && !*rewrite {
			t.Errorf("%d: given\n%s\ngot\n%s\nwant\n%s", i, given, got, want)
		}
		out = append(out, given+"\n=>\n"+got)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n----\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func outcome(t *testing.T, given string) string {
	t.Helper()
	r := rows[0]
	var objects []*apiregistrationv1.APIService
	for _, text := range strings.Split(given, "\n~~~\n") {
		o := &apiregistrationv1.APIService{}
		if err := yaml.UnmarshalStrict([]byte(text), o); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	o, status := objects[0], objects[0].Status
	var errs field.ErrorList
	if len(objects) == 1 {
		errs = create(o)
		if len(status.Conditions) > 0 {
			o.Status = status // what was seen since
			errs = append(errs, r.Status.Validate(o, o)...)
		}
	} else {
		next := objects[1]
		r.Default(next)
		r.PrepareUpdate(next, o)
		errs = r.ValidateUpdate(next, o)
		o = next
	}
	if len(errs) > 0 {
		var lines []string
		for _, e := range errs {
			lines = append(lines, e.Error())
		}
		return strings.Join(lines, "\n")
	}
	for i := range o.Status.Conditions {
		o.Status.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	b, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var cells strings.Builder
	for _, c := range r.Columns {
		fmt.Fprintf(&cells, "# %s: %v\n", c.Name, c.Cell(o))
	}
	return cells.String() + string(b)
}

func TestDefaultTwice(t *testing.T) {
	o := &apiregistrationv1.APIService{Spec: apiregistrationv1.APIServiceSpec{Service: &apiregistrationv1.ServiceReference{Name: "m", Namespace: "n"}}}
	rows[0].Default(o)
	once := o.DeepCopy()
	rows[0].Default(o)
	if !reflect.DeepEqual(o, once) || *o.Spec.Service.Port != 443 {
		t.Errorf("%+v, then %+v", once, o)
	}
}

func TestSetCondition(t *testing.T) {
	first, second, third := time.Unix(100, 5e8), time.Unix(200, 0), time.Unix(300, 0)
	o := &apiregistrationv1.APIService{}
	SetCondition(o, LocalCondition(), first)
	SetCondition(o, apiregistrationv1.APIServiceCondition{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue, Reason: "Passed"}, second)
	if c := Available(o); c.Reason != "Passed" || c.LastTransitionTime.Unix() != 100 || c.LastTransitionTime.Nanosecond() != 0 {
		t.Errorf("%+v", c)
	}
	SetCondition(o, apiregistrationv1.APIServiceCondition{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionFalse}, third)
	if c := Available(o); len(o.Status.Conditions) != 1 || c.LastTransitionTime.Unix() != 300 {
		t.Errorf("%+v", o.Status)
	}
}

// TestStatusUpdate: who writes the status changes nothing else.
func TestStatusUpdate(t *testing.T) {
	old := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.a", Labels: map[string]string{"a": "b"}}, Spec: apiregistrationv1.APIServiceSpec{Group: "a"}}
	next := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.a", Finalizers: []string{"x/y"}}}
	rows[0].Status.Prepare(next, old)
	if next.Labels["a"] != "b" || next.Finalizers != nil {
		t.Errorf("%+v", next)
	}
	if rows[0].GVK.Kind != "APIService" || api.Object(next).GetName() == "" {
		t.Error("not the row of APIServices")
	}
}
