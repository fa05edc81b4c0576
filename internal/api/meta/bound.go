package meta

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What is wrong with an object is told in full, up to what somebody would read: who sends
// three megabytes of mistakes does not get back thirty.
const (
	mostErrors = 1000      // errors that are told
	mostText   = 256 << 10 // bytes of their texts
	longText   = 96 << 10  // bytes of one; from there on the value is left out
)

// Bound cuts a list of errors to what is told, and tells how many there are besides.
// compat: Kubernetes tells all of them.
func Bound(errs field.ErrorList) field.ErrorList {
	text, shown := 0, len(errs)
	var out field.ErrorList // a copy, once something in it is shortened
	for i, e := range errs {
		if i == mostErrors || text > mostText {
			shown = i
			break
		}
		n := len(e.Error())
		if n > longText {
			if out == nil {
				out = append(out, errs...)
			}
			out[i] = shorten(e)
			// Rendering the value has cost what it has cost.
			n = max(n, longText)
		}
		text += n
	}
	if out == nil {
		out = errs
	}
	if shown == len(errs) {
		return out
	}
	more := &field.Error{Type: field.ErrorTypeInvalid, Field: "<more>", BadValue: field.OmitValueType{}, Detail: fmt.Sprintf("%d more errors are not shown", len(errs)-shown)}
	return append(out[:shown:shown], more)
}

// shorten leaves out a value that nobody reads, and the rest of a text.
func shorten(e *field.Error) *field.Error {
	c := *e
	c.BadValue = field.OmitValueType{}
	if len(c.Detail) > longText {
		c.Detail = c.Detail[:longText] + "…"
	}
	if len(c.Field) > longText {
		c.Field = c.Field[:longText] + "…"
	}
	return &c
}
