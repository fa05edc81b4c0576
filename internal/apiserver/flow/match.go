package flow

import (
	"slices"
	"strings"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
)

// rule is a rule of a schema, made ready for matching: everything is compared as it
// is, nothing is put together per request.
type rule struct {
	anybody   bool
	users     []string
	groups    []string
	accounts  []string // prefixes of names of service accounts: all of a namespace
	resources []resourceRule
	paths     []pathRule
}

// list is values, or all values.
type list struct {
	all    bool
	values []string
}

func (l *list) has(v string) bool { return l.all || slices.Contains(l.values, v) }

func listOf(values []string) list {
	return list{all: slices.Contains(values, "*"), values: values}
}

type resourceRule struct {
	verbs, groups, kinds, namespaces list
	cluster                          bool
}

type pathRule struct {
	verbs list
	paths []string
}

const accountPrefix = "system:serviceaccount:"

func compile(o *flowcontrolv1.FlowSchema) []rule {
	var out []rule
	for i := range o.Spec.Rules {
		from := &o.Spec.Rules[i]
		var r rule
		for _, s := range from.Subjects {
			switch {
			case s.User != nil && s.User.Name == "*", s.Group != nil && s.Group.Name == "*":
				r.anybody = true
			case s.User != nil:
				r.users = append(r.users, s.User.Name)
			case s.Group != nil:
				r.groups = append(r.groups, s.Group.Name)
			case s.ServiceAccount != nil && s.ServiceAccount.Name == "*":
				r.accounts = append(r.accounts, accountPrefix+s.ServiceAccount.Namespace+":")
			case s.ServiceAccount != nil:
				r.users = append(r.users, accountPrefix+s.ServiceAccount.Namespace+":"+s.ServiceAccount.Name)
			}
		}
		for _, q := range from.ResourceRules {
			r.resources = append(r.resources, resourceRule{listOf(q.Verbs), listOf(q.APIGroups), listOf(q.Resources), listOf(q.Namespaces), q.ClusterScope})
		}
		for _, q := range from.NonResourceRules {
			r.paths = append(r.paths, pathRule{listOf(q.Verbs), q.NonResourceURLs})
		}
		out = append(out, r)
	}
	return out
}

func (s *Schema) matches(r *Request) bool {
	for i := range s.rules {
		if u := &s.rules[i]; u.concerns(r) && u.allows(r) {
			return true
		}
	}
	return false
}

// concerns tells whether the request comes from one of the subjects.
func (u *rule) concerns(r *Request) bool {
	if u.anybody || slices.Contains(u.users, r.User) {
		return true
	}
	for _, g := range u.groups {
		if slices.Contains(r.Groups, g) {
			return true
		}
	}
	for _, p := range u.accounts {
		if strings.HasPrefix(r.User, p) {
			return true
		}
	}
	return false
}

func (u *rule) allows(r *Request) bool {
	if r.Resource {
		for i := range u.resources {
			if u.resources[i].matches(r) {
				return true
			}
		}
		return false
	}
	for i := range u.paths {
		if u.paths[i].matches(r) {
			return true
		}
	}
	return false
}

func (q *resourceRule) matches(r *Request) bool {
	if !q.verbs.has(r.Verb) || !q.groups.has(r.Group) || !q.names(r) {
		return false
	}
	if r.Namespace == "" {
		return q.cluster
	}
	return q.namespaces.has(r.Namespace)
}

// names compares with resource, or resource/subresource.
func (q *resourceRule) names(r *Request) bool {
	if r.Sub == "" || q.kinds.all {
		return q.kinds.has(r.Kind)
	}
	for _, k := range q.kinds.values {
		if n := len(r.Kind); len(k) == n+1+len(r.Sub) && k[:n] == r.Kind && k[n] == '/' && k[n+1:] == r.Sub {
			return true
		}
	}
	return false
}

func (q *pathRule) matches(r *Request) bool {
	if !q.verbs.has(r.Verb) {
		return false
	}
	for _, p := range q.paths {
		if prefix, wild := strings.CutSuffix(p, "*"); p == r.Path || wild && strings.HasPrefix(r.Path, prefix) {
			return true
		}
	}
	return false
}
