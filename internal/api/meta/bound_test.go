package meta

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestBound(t *testing.T) {
	at := field.NewPath("spec", "list")
	few := field.ErrorList{field.Required(at, ""), field.Invalid(at, strings.Repeat("a", longText/2), "is long")}
	if got := Bound(few); len(got) != 2 || got[1] != few[1] {
		t.Error("a few errors are told as they are", got)
	}
	var many field.ErrorList
	for i := range 10 * mostErrors {
		many = append(many, field.Required(at.Index(i), ""))
	}
	if got := Bound(many); len(got) != mostErrors+1 || got[mostErrors].Error() != "<more>: Invalid value: 9000 more errors are not shown" {
		t.Error("many errors are cut", len(got), got[len(got)-1])
	}
	if Bound(many[:mostErrors])[mostErrors-1] != many[mostErrors-1] {
		t.Error("as many as may be told are told")
	}
	long := field.ErrorList{
		field.Invalid(at, strings.Repeat("a", 1<<20), "is long"),
		field.Invalid(at, "a", strings.Repeat("ä", 1<<20)),
		field.Invalid(at.Key(strings.Repeat("k", 1<<20)), "a", "is long"),
	}
	if got := Bound(long[:1]); got[0].Error() != "spec.list: Invalid value: is long" || long[0].BadValue == got[0].BadValue {
		t.Error("a long value is left out", got)
	}
	if n := len(Bound(long).ToAggregate().Error()); n > 4*longText {
		t.Errorf("%d bytes are told of long texts", n)
	}
	if n := testing.AllocsPerRun(10, func() { Bound(nil) }); n > 0 {
		t.Error("no errors cost", n)
	}
}

// TestBoundWork: what is cut is not even rendered.
func TestBoundWork(t *testing.T) {
	rendered := 0
	var errs field.ErrorList
	for range 100 * mostErrors {
		errs = append(errs, field.Invalid(field.NewPath("a"), counted{&rendered}, "is wrong"))
	}
	if Bound(errs); rendered > mostErrors {
		t.Errorf("%d values are rendered", rendered)
	}
}

// counted is a value that counts how often it is rendered.
type counted struct{ n *int }

func (c counted) MarshalJSON() ([]byte, error) { *c.n++; return []byte(`"a"`), nil }
