package client

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestCorrelator(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	about := corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: "a", Name: "p", UID: "u"}
	type in struct {
		after   time.Duration
		reason  string
		message string
	}
	repeat := func(n int, f func(i int) in) (out []in) {
		for i := range n {
			out = append(out, f(i))
		}
		return out
	}
	for name, c := range map[string]struct {
		in   []in
		want string // of the last: "new|repeat|dropped count message"
	}{
		"first":                      {[]in{{0, "BackOff", "m"}}, "new 1 m"},
		"repeat":                     {[]in{{0, "BackOff", "m"}, {time.Second, "BackOff", "m"}, {time.Second, "BackOff", "m"}}, "repeat 3 m"},
		"another reason":             {[]in{{0, "BackOff", "m"}, {time.Second, "Failed", "m"}}, "new 1 m"},
		"ninth message is its own":   {repeat(9, func(i int) in { return in{0, "R", fmt.Sprint(i)} }), "new 1 8"},
		"tenth message is combined":  {repeat(10, func(i int) in { return in{0, "R", fmt.Sprint(i)} }), "new 1 (combined from similar events): 9"},
		"combined are counted":       {repeat(12, func(i int) in { return in{0, "R", fmt.Sprint(i)} }), "repeat 3 (combined from similar events): 11"},
		"not after ten minutes":      {repeat(12, func(i int) in { return in{11 * time.Minute, "R", fmt.Sprint(i)} }), "new 1 11"},
		"burst":                      {repeat(25, func(i int) in { return in{0, "R", "m"} }), "repeat 25 m"},
		"beyond the burst":           {repeat(26, func(i int) in { return in{0, "R", "m"} }), "dropped"},
		"a token after five minutes": {append(repeat(30, func(i int) in { return in{0, "R", "m"} }), in{5 * time.Minute, "R", "m"}), "repeat 26 m"},
	} {
		t.Run(name, func(t *testing.T) {
			var k correlator
			var got string
			at := start
			for i, e := range c.in {
				at = at.Add(e.after)
				about.ResourceVersion = fmt.Sprint(i)
				w := k.observe(sighting{source: corev1.EventSource{Component: "kubelet", Host: "n"}, about: about, eventType: "Normal", reason: e.reason, message: e.message, at: at})
				switch {
				case w == nil:
					got = "dropped"
				case w.repeat:
					got = fmt.Sprintf("repeat %d %s", w.event.Count, w.event.Message)
				default:
					got = fmt.Sprintf("new %d %s", w.event.Count, w.event.Message)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRecentForgets(t *testing.T) {
	var r recent[int, int]
	r.put(-1, 1)
	for i := range 3 * remembered {
		r.put(i, i)
		if i%100 == 0 {
			r.get(-1)
		}
	}
	if _, ok := r.get(-1); !ok {
		t.Error("what is used was forgotten")
	}
	if _, ok := r.get(0); ok || len(r.young)+len(r.old) > remembered {
		t.Errorf("nothing was forgotten: %d", len(r.young)+len(r.old))
	}
}
