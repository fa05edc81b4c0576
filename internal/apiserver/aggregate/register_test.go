package aggregate

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

func managedAs(label string, priority int32) *apiregistrationv1.APIService {
	o := &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.a"}, Spec: apiregistrationv1.APIServiceSpec{Group: "a", Version: "v1", VersionPriority: priority}}
	if label != "" {
		o.Labels = map[string]string{managedLabel: label}
	}
	return o
}

// TestRegister is the table of all that can be: what is wanted, what there is, and what was done before.
func TestRegister(t *testing.T) {
	names := map[registration]string{leave: "-", create: "create", replace: "replace", remove: "remove"}
	wants := []*apiregistrationv1.APIService{nil, managedAs(onStart, 1), managedAs(always, 1)}
	haves := []*apiregistrationv1.APIService{nil, managedAs("", 2), managedAs("false", 2), managedAs(onStart, 2), managedAs(always, 2), managedAs(always, 1)}
	label := func(o *apiregistrationv1.APIService) string {
		if o == nil {
			return "nothing"
		}
		return fmt.Sprintf("%q/%d", o.Labels[managedLabel], o.Spec.VersionPriority)
	}
	var out strings.Builder
	for _, have := range haves {
		for _, want := range wants {
			fmt.Fprintf(&out, "%s, wanted %s:", label(have), label(want))
			for _, then := range []struct{ handled, atStart bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
				fmt.Fprint(&out, " ", names[register(want, have, then.handled, then.atStart)])
			}
			out.WriteString("\n")
		}
	}
	// For each: new here, there at the start, and the same once it was in order.
	const want = `nothing, wanted nothing: - - - -
nothing, wanted "onstart"/1: create create - -
nothing, wanted "true"/1: create create create create
""/2, wanted nothing: - - - -
""/2, wanted "onstart"/1: - - - -
""/2, wanted "true"/1: - - - -
"false"/2, wanted nothing: - - - -
"false"/2, wanted "onstart"/1: - - - -
"false"/2, wanted "true"/1: - - - -
"onstart"/2, wanted nothing: - remove - -
"onstart"/2, wanted "onstart"/1: - replace - -
"onstart"/2, wanted "true"/1: - replace - -
"true"/2, wanted nothing: remove remove remove remove
"true"/2, wanted "onstart"/1: replace replace - -
"true"/2, wanted "true"/1: replace replace replace replace
"true"/1, wanted nothing: remove remove remove remove
"true"/1, wanted "onstart"/1: - - - -
"true"/1, wanted "true"/1: - - - -
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func gvs(texts ...string) (out []schema.GroupVersion) {
	for _, s := range texts {
		gv, err := schema.ParseGroupVersion(s)
		if err != nil {
			panic(err)
		}
		out = append(out, gv)
	}
	return out
}

func TestLocal(t *testing.T) {
	var out strings.Builder
	for _, o := range append(Local(gvs("v1", "apps/v1", "autoscaling/v1", "autoscaling/v2", "apiregistration.k8s.io/v1", "events.k8s.io/v1", "extensions/v1beta1", "policy/v2", "new.k8s.io/v1beta1"), false),
		Local(gvs("stable.example.com/v1"), true)...) {
		fmt.Fprintln(&out, o.Name, o.Labels, o.Spec.Group, o.Spec.Version, o.Spec.GroupPriorityMinimum, o.Spec.VersionPriority)
	}
	const want = `v1. map[kube-aggregator.kubernetes.io/automanaged:onstart]  v1 18000 1
v1.apps map[kube-aggregator.kubernetes.io/automanaged:onstart] apps v1 17800 15
v1.autoscaling map[kube-aggregator.kubernetes.io/automanaged:onstart] autoscaling v1 17500 15
v2.autoscaling map[kube-aggregator.kubernetes.io/automanaged:onstart] autoscaling v2 17500 30
v1.events.k8s.io map[kube-aggregator.kubernetes.io/automanaged:onstart] events.k8s.io v1 17750 15
v1beta1.extensions map[kube-aggregator.kubernetes.io/automanaged:onstart] extensions v1beta1 15000 1
v2.policy map[kube-aggregator.kubernetes.io/automanaged:onstart] policy v2 17100 15
v1beta1.new.k8s.io map[kube-aggregator.kubernetes.io/automanaged:onstart] new.k8s.io v1beta1 14000 9
v1.stable.example.com map[kube-aggregator.kubernetes.io/automanaged:true] stable.example.com v1 1000 100
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func is(label string, priority int32) func(*apiregistrationv1.APIService) bool {
	return func(o *apiregistrationv1.APIService) bool {
		return o != nil && o.Labels[managedLabel] == label && o.Spec.VersionPriority == priority && len(o.Status.Conditions) > 0
	}
}

func gone(o *apiregistrationv1.APIService) bool { return o == nil }

// TestRegistration: what this server answers itself has APIServices, whatever was there before.
func TestRegistration(t *testing.T) {
	changed := managedAs(onStart, 7)
	changed.Name, changed.Spec.Group = "v1.apps", "apps"
	old := managedAs(onStart, 7)
	old.Name, old.Spec.Group = "v1.retired", "retired"
	crd := managedAs(always, 100)
	crd.Name, crd.Spec.Group = "v1.deleted.example.com", "deleted.example.com"
	foreign := managedAs("", 7)
	foreign.Name, foreign.Spec.Group = "v1.batch", "batch"
	c := newCluster(t, changed, old, crd, foreign)
	c.a.SetLocal(gvs("v1", "apps/v1", "batch/v1"), gvs("stable.example.com/v1"))
	c.run()
	c.awaitObject("v1.", is(onStart, 1))
	c.awaitObject("v1.apps", is(onStart, 15))
	c.awaitObject("v1.retired", gone)
	c.awaitObject("v1.deleted.example.com", gone)
	c.awaitObject("v1.batch", is("", 7))
	one := c.awaitObject("v1.stable.example.com", is(always, 100))
	if cond := one.Status.Conditions[0]; cond.Reason != "Local" || cond.Status != "True" || cond.Message != "Local APIServices are always available" || cond.LastTransitionTime.IsZero() {
		t.Errorf("%+v", cond)
	}
	// What is minded always is restored, and goes when it is no longer served.
	next := one.DeepCopy()
	next.Spec.VersionPriority = 3
	c.put(next)
	c.awaitObject(one.Name, is(always, 100))
	c.remove(one)
	c.awaitObject(one.Name, is(always, 100))
	c.a.SetLocal(gvs("v1", "apps/v1", "batch/v1"), gvs("stable.example.com/v2"))
	c.awaitObject(one.Name, gone)
	c.awaitObject("v2.stable.example.com", is(always, 100))
	// What is minded at the start is left to people afterwards.
	c.remove(c.awaitObject("v1.", is(onStart, 1)))
	c.a.SetLocal(gvs("v1", "apps/v1", "batch/v1"), nil)
	c.awaitObject("v2.stable.example.com", gone)
	if o, _ := c.a.get(t.Context(), "v1."); o != nil {
		t.Errorf("%+v is back", o)
	}
}
