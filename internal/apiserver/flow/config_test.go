package flow

import (
	"fmt"
	"slices"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
)

func suggested() (*Pool, *Config) {
	p := &Pool{}
	c, _ := p.Configure(0, Schemas(), Levels())
	return p, c
}

var anybody = []string{"system:authenticated"}

func TestSort(t *testing.T) {
	_, c := suggested()
	node := append([]string{"system:nodes"}, anybody...)
	account := append([]string{"system:serviceaccounts"}, anybody...)
	for _, tt := range []struct {
		want string
		r    Request
	}{
		{"exempt exempt", Request{User: "admin", Groups: []string{"system:masters"}, Verb: "list", Resource: true, Kind: "pods"}},
		{"exempt exempt", Request{User: "admin", Groups: []string{"system:masters"}, Verb: "get", Path: "/metrics"}},
		{"probes exempt", Request{User: "x", Groups: anybody, Verb: "get", Path: "/readyz"}},
		{"global-default global-default", Request{User: "x", Groups: anybody, Verb: "get", Path: "/readyz/etcd"}},
		{"global-default global-default", Request{User: "x", Groups: anybody, Verb: "post", Path: "/readyz"}},
		{"global-default global-default", Request{User: "jane", Groups: anybody, Verb: "list", Resource: true, Kind: "pods", Namespace: "a"}},
		{"system-leader-election leader-election", Request{User: "system:kube-scheduler", Groups: anybody, Verb: "update", Resource: true, Group: "coordination.k8s.io", Kind: "leases", Namespace: "kube-system"}},
		{"kube-scheduler workload-high", Request{User: "system:kube-scheduler", Groups: anybody, Verb: "update", Resource: true, Group: "coordination.k8s.io", Kind: "leases", Namespace: "default"}},
		{"kube-scheduler workload-high", Request{User: "system:kube-scheduler", Groups: anybody, Verb: "update", Resource: true, Kind: "pods", Sub: "status", Namespace: "b"}},
		{"endpoint-controller workload-high", Request{User: "system:serviceaccount:kube-system:endpoint-controller", Groups: account, Verb: "update", Resource: true, Kind: "endpoints", Namespace: "a"}},
		{"workload-leader-election leader-election", Request{User: "system:serviceaccount:kube-system:any", Groups: account, Verb: "get", Resource: true, Group: "coordination.k8s.io", Kind: "leases", Namespace: "a"}},
		{"system-node-high node-high", Request{User: "system:node:n", Groups: node, Verb: "patch", Resource: true, Kind: "nodes", Sub: "status"}},
		{"system-nodes system", Request{User: "system:node:n", Groups: node, Verb: "get", Resource: true, Kind: "nodes", Sub: "proxy"}},
		{"system-nodes system", Request{User: "system:node:n", Groups: node, Verb: "get", Resource: true, Kind: "secrets", Namespace: "a"}},
		{"kube-system-service-accounts workload-high", Request{User: "system:serviceaccount:kube-system:x", Groups: account, Verb: "get", Resource: true, Kind: "pods", Namespace: "c"}},
		{"service-accounts workload-low", Request{User: "system:serviceaccount:kube-system2:x", Groups: account, Verb: "get", Resource: true, Kind: "pods", Namespace: "c"}},
		{"global-default global-default", Request{User: "system:anonymous", Groups: []string{"system:unauthenticated"}, Verb: "get", Path: "/x"}},
		{"", Request{User: "nobody", Verb: "get", Path: "/x"}},
	} {
		have := ""
		if p := c.Sort(&tt.r); p.Schema != nil {
			have = p.Schema.Name + " " + p.Schema.LevelName
		}
		if have != tt.want {
			t.Errorf("%+v: %s, want %s", tt.r, have, tt.want)
		}
	}
}

func TestRules(t *testing.T) {
	user := func(n string) flowcontrolv1.Subject {
		return flowcontrolv1.Subject{Kind: "User", User: &flowcontrolv1.UserSubject{Name: n}}
	}
	groupOf := func(n string) flowcontrolv1.Subject {
		return flowcontrolv1.Subject{Kind: "Group", Group: &flowcontrolv1.GroupSubject{Name: n}}
	}
	res := func(verb, group, kind, ns string, cluster bool) flowcontrolv1.PolicyRulesWithSubjects {
		q := flowcontrolv1.ResourcePolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{kind}, ClusterScope: cluster}
		if ns != "" {
			q.Namespaces = []string{ns}
		}
		return flowcontrolv1.PolicyRulesWithSubjects{ResourceRules: []flowcontrolv1.ResourcePolicyRule{q}}
	}
	path := func(verb, url string) flowcontrolv1.PolicyRulesWithSubjects {
		return flowcontrolv1.PolicyRulesWithSubjects{NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{verb}, NonResourceURLs: []string{url}}}}
	}
	pods := Request{User: "jane", Groups: []string{"dev"}, Verb: "get", Resource: true, Kind: "pods", Namespace: "a"}
	nodes := Request{User: "jane", Verb: "list", Resource: true, Kind: "nodes"}
	apps := Request{User: "jane", Verb: "get", Resource: true, Group: "apps", Kind: "deployments", Sub: "scale", Namespace: "a"}
	url := Request{User: "jane", Verb: "get", Path: "/openapi/v3/api"}
	for i, tt := range []struct {
		s    flowcontrolv1.Subject
		rule flowcontrolv1.PolicyRulesWithSubjects
		r    Request
		want bool
	}{
		{user("jane"), res("get", "", "pods", "a", false), pods, true},
		{user("*"), res("*", "*", "*", "*", false), pods, true},
		{user("jan"), res("*", "*", "*", "*", true), pods, false},
		{groupOf("dev"), res("get", "", "pods", "*", false), pods, true},
		{groupOf("*"), res("get", "", "pods", "*", false), nodes, false},
		{groupOf("ops"), res("get", "", "pods", "*", false), pods, false},
		{user("jane"), res("get", "", "pods", "b", true), pods, false},
		{user("jane"), res("get", "", "pods", "", true), pods, false},
		{user("jane"), res("list", "", "nodes", "", true), nodes, true},
		{user("jane"), res("list", "", "nodes", "*", false), nodes, false},
		{user("jane"), res("get", "apps", "deployments", "a", false), apps, false},
		{user("jane"), res("get", "apps", "deployments/scale", "a", false), apps, true},
		{user("jane"), res("get", "apps", "*", "a", false), apps, true},
		{user("jane"), res("get", "", "deployments/scale", "a", false), apps, false},
		{user("jane"), path("get", "/openapi/v3/api"), url, true},
		{user("jane"), path("get", "/openapi/*"), url, true},
		{user("jane"), path("*", "*"), url, true},
		{user("jane"), path("get", "/openapi"), url, false},
		{user("jane"), path("post", "*"), url, false},
		{user("jane"), path("*", "*"), pods, false},
		{user("jane"), res("*", "*", "*", "*", true), url, false},
	} {
		tt.rule.Subjects = []flowcontrolv1.Subject{tt.s}
		o := &flowcontrolv1.FlowSchema{Spec: flowcontrolv1.FlowSchemaSpec{Rules: []flowcontrolv1.PolicyRulesWithSubjects{tt.rule}}}
		s := &Schema{rules: compile(o)}
		if s.matches(&tt.r) != tt.want {
			t.Errorf("%d: %+v %+v: want %v", i, tt.rule, tt.r, tt.want)
		}
	}
}

// The order is that of precedence, then of names; what leads nowhere does not count.
func TestPrecedence(t *testing.T) {
	s := func(name, level string, precedence int32) *flowcontrolv1.FlowSchema {
		o := Schemas()[1]
		o.Name, o.Spec.MatchingPrecedence, o.Spec.PriorityLevelConfiguration.Name = name, precedence, level
		return o
	}
	p := &Pool{}
	c, _ := p.Configure(0, []*flowcontrolv1.FlowSchema{s("b", "system", 5), s("a", "system", 5), s("z", "none", 2), s("y", "system", 3)}, Levels())
	var names []string
	for _, s := range c.schemas {
		names = append(names, s.Name)
	}
	if want := []string{"exempt", "y", "a", "b", "catch-all"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

// Flows are told apart by what the schema says, and by nothing else.
func TestDistinguish(t *testing.T) {
	_, c := suggested()
	sa := []string{"system:serviceaccounts", "system:authenticated"}
	hash := func(user, ns string) string {
		p := c.Sort(&Request{User: user, Groups: sa, Verb: "get", Resource: true, Kind: "pods", Namespace: ns})
		return fmt.Sprint(p.Schema.Name, p.Hash)
	}
	if hash("system:serviceaccount:a:x", "a") != hash("system:serviceaccount:a:x", "b") || hash("system:serviceaccount:a:x", "a") == hash("system:serviceaccount:a:y", "a") {
		t.Error("service-accounts: by user")
	}
	if hash("system:serviceaccount:kube-system:x", "a") != hash("system:serviceaccount:kube-system:y", "a") || hash("system:serviceaccount:kube-system:x", "a") == hash("system:serviceaccount:kube-system:x", "b") {
		t.Error("kube-system-service-accounts: by namespace")
	}
}

func TestDeal(t *testing.T) {
	var room [maxHand]int
	seen := map[int]int{}
	for h := range uint64(5000) {
		hand := deal(h*0x9e3779b97f4a7c15, 16, 4, &room)
		if len(hand) != 4 || !slices.IsSorted(hand) || hand[0] < 0 || hand[3] > 15 || len(slices.Compact(slices.Clone(hand))) != 4 {
			t.Fatalf("%v", hand)
		}
		for _, c := range hand {
			seen[c]++
		}
	}
	for c := range 16 {
		if n := seen[c]; n < 1000 || n > 1500 { // 1,250 each
			t.Errorf("queue %d is in %d of 5000 hands", c, n)
		}
	}
	if hand := deal(12345, 3, 8, &room); !slices.Equal(hand, []int{0, 1, 2}) {
		t.Errorf("%v", hand)
	}
}

func BenchmarkSort(b *testing.B) {
	_, c := suggested()
	for name, r := range map[string]Request{
		"admin":   {User: "admin", Groups: []string{"system:masters", "system:authenticated"}, Verb: "get", Resource: true, Kind: "pods", Namespace: "a"},
		"account": {User: "system:serviceaccount:a:b", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"}, Verb: "get", Resource: true, Kind: "pods", Namespace: "a"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Sort(&r)
			}
		})
	}
}
