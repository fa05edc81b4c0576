package flow

import (
	"cmp"
	"math"
	"slices"
	"strings"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
)

// Request is what a request is sorted by.
type Request struct {
	User      string
	Groups    []string
	Verb      string
	Resource  bool // about a resource, or about a path
	Path      string
	Group     string // of the API
	Kind      string // resource, or resource/subresource
	Namespace string
}

// Config is the schemas in their order and the levels that they lead to.
type Config struct {
	schemas []*flowcontrolv1.FlowSchema
	levels  map[string]*Level
	uids    map[string]string // of levels
}

// Place is where a request belongs.
type Place struct {
	Level    *Level
	Schema   *flowcontrolv1.FlowSchema
	LevelUID string
	Flow     string
}

// TotalSeats is how many requests are served at a time, exempt and long ones apart.
const TotalSeats = 600

// Configure sets the levels to what the objects say. Levels that are gone finish
// what they have; the others go on under their new limits.
func (p *Pool) Configure(schemas []*flowcontrolv1.FlowSchema, levels []*flowcontrolv1.PriorityLevelConfiguration) *Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &Config{levels: map[string]*Level{}, uids: map[string]string{}}
	shares := 0
	for _, o := range levels {
		shares += sharesOf(o)
	}
	old := p.levels
	p.levels = map[string]*Level{}
	for _, o := range levels {
		l := old[o.Name]
		if l == nil {
			l = &Level{Name: o.Name, pool: p}
		}
		l.set(o, shares)
		p.levels[o.Name], c.levels[o.Name], c.uids[o.Name] = l, l, string(o.UID)
	}
	for _, s := range schemas {
		if c.levels[s.Spec.PriorityLevelConfiguration.Name] != nil {
			c.schemas = append(c.schemas, s)
		}
	}
	slices.SortFunc(c.schemas, func(a, b *flowcontrolv1.FlowSchema) int {
		return cmp.Or(cmp.Compare(a.Spec.MatchingPrecedence, b.Spec.MatchingPrecedence), strings.Compare(a.Name, b.Name))
	})
	p.dispatch()
	return c
}

func sharesOf(o *flowcontrolv1.PriorityLevelConfiguration) int {
	if l := o.Spec.Limited; o.Spec.Type == flowcontrolv1.PriorityLevelEnablementLimited && l != nil && l.NominalConcurrencyShares != nil {
		return int(*l.NominalConcurrencyShares)
	}
	return 0
}

func (l *Level) set(o *flowcontrolv1.PriorityLevelConfiguration, shares int) {
	l.Exempt = o.Spec.Type == flowcontrolv1.PriorityLevelEnablementExempt
	lim := o.Spec.Limited
	if l.Exempt || lim == nil {
		return
	}
	l.seats = int(math.Ceil(float64(TotalSeats) * float64(sharesOf(o)) / float64(max(shares, 1))))
	l.lendable, l.borrow = 0, -1
	if lim.LendablePercent != nil {
		l.lendable = l.seats * int(*lim.LendablePercent) / 100
	}
	if lim.BorrowingLimitPercent != nil {
		l.borrow = l.seats * int(*lim.BorrowingLimitPercent) / 100
	}
	l.Reject = lim.LimitResponse.Type == flowcontrolv1.LimitResponseTypeReject
	if q := lim.LimitResponse.Queuing; q != nil {
		// A flow may fill the queues of its hand, all flows together all queues.
		l.perFlow = int(q.HandSize * q.QueueLengthLimit)
		l.most = int(q.Queues * q.QueueLengthLimit)
	}
}

// Sort finds the place of a request; Level is nil when no schema matches.
func (c *Config) Sort(r *Request) Place {
	for _, s := range c.schemas {
		if !matches(s, r) {
			continue
		}
		name := s.Spec.PriorityLevelConfiguration.Name
		p := Place{Level: c.levels[name], Schema: s, LevelUID: c.uids[name], Flow: s.Name}
		if d := s.Spec.DistinguisherMethod; d != nil {
			switch d.Type {
			case flowcontrolv1.FlowDistinguisherMethodByUserType:
				p.Flow += "/" + r.User
			case flowcontrolv1.FlowDistinguisherMethodByNamespaceType:
				p.Flow += "/" + r.Namespace
			}
		}
		return p
	}
	return Place{}
}

func matches(s *flowcontrolv1.FlowSchema, r *Request) bool {
	for i := range s.Spec.Rules {
		rule := &s.Spec.Rules[i]
		if slices.ContainsFunc(rule.Subjects, func(sub flowcontrolv1.Subject) bool { return isSubject(&sub, r) }) && asks(rule, r) {
			return true
		}
	}
	return false
}

func isSubject(s *flowcontrolv1.Subject, r *Request) bool {
	switch {
	case s.User != nil:
		return s.User.Name == "*" || s.User.Name == r.User
	case s.Group != nil:
		return s.Group.Name == "*" || slices.Contains(r.Groups, s.Group.Name)
	case s.ServiceAccount != nil:
		ns, name, ok := strings.Cut(strings.TrimPrefix(r.User, "system:serviceaccount:"), ":")
		return ok && strings.HasPrefix(r.User, "system:serviceaccount:") && ns == s.ServiceAccount.Namespace &&
			(s.ServiceAccount.Name == "*" || s.ServiceAccount.Name == name)
	}
	return false
}

func has(list []string, v string) bool {
	return len(list) > 0 && (list[0] == "*" || slices.Contains(list, v))
}

func asks(rule *flowcontrolv1.PolicyRulesWithSubjects, r *Request) bool {
	if !r.Resource {
		return slices.ContainsFunc(rule.NonResourceRules, func(n flowcontrolv1.NonResourcePolicyRule) bool {
			return has(n.Verbs, r.Verb) && slices.ContainsFunc(n.NonResourceURLs, func(url string) bool {
				prefix, wild := strings.CutSuffix(url, "*")
				return url == r.Path || wild && strings.HasPrefix(r.Path, prefix)
			})
		})
	}
	return slices.ContainsFunc(rule.ResourceRules, func(n flowcontrolv1.ResourcePolicyRule) bool {
		if !has(n.Verbs, r.Verb) || !has(n.APIGroups, r.Group) || !has(n.Resources, r.Kind) {
			return false
		}
		if r.Namespace == "" {
			return n.ClusterScope
		}
		return has(n.Namespaces, r.Namespace)
	})
}
