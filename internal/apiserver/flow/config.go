package flow

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"time"

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
	Kind      string // the resource
	Sub       string // the subresource
	Namespace string
}

// Config is the schemas in their order, and the levels that they lead to. It never changes.
type Config struct{ schemas []*Schema }

// Schema is a FlowSchema that leads to a level.
type Schema struct {
	Name, LevelName string
	// UID and LevelUID are the values of the headers that tell them; nil: there are no such objects.
	UID, LevelUID []string

	level    *Level
	stats    *Stats
	rules    []rule
	by       flowcontrolv1.FlowDistinguisherMethodType
	nameHash uint64
}

// Place is where a request belongs: a schema, and one of the flows of that.
type Place struct {
	Schema *Schema // nil: nowhere
	Hash   uint64  // of the flow
}

// Configure sets the levels to what the objects say; those that must be there are,
// whether there are objects or not. Levels that are gone end with their requests;
// the others go on under their new limits. The tickets returned are admitted by that.
func (p *Pool) Configure(now time.Duration, schemas []*flowcontrolv1.FlowSchema, levels []*flowcontrolv1.PriorityLevelConfiguration) (*Config, []*Ticket) {
	schemas, levels = withMandatory(schemas, Schemas()), withMandatory(levels, Levels())
	slices.SortFunc(levels, func(a, b *flowcontrolv1.PriorityLevelConfiguration) int { return strings.Compare(a.Name, b.Name) })
	byName, ids := p.setLevels(levels)
	if p.stats == nil {
		p.stats = map[statsKey]*Stats{}
	}
	c := &Config{}
	for _, o := range schemas {
		l := byName[o.Spec.PriorityLevelConfiguration.Name]
		if l == nil {
			continue // it leads nowhere
		}
		s := &Schema{Name: o.Name, LevelName: l.Name, level: l, rules: compile(o), nameHash: maphash.String(seed, o.Name)}
		if o.UID != "" && ids[l.Name] != "" {
			s.UID, s.LevelUID = []string{string(o.UID)}, []string{ids[l.Name]}
		}
		if d := o.Spec.DistinguisherMethod; d != nil {
			s.by = d.Type
		}
		k := statsKey{o.Name, l.Name}
		if p.stats[k] == nil {
			p.stats[k] = &Stats{Schema: o.Name, Level: l.Name}
		}
		s.stats = p.stats[k]
		c.schemas = append(c.schemas, s)
	}
	precedence := map[string]int32{}
	for _, o := range schemas {
		precedence[o.Name] = o.Spec.MatchingPrecedence
	}
	slices.SortFunc(c.schemas, func(a, b *Schema) int {
		return cmp.Or(cmp.Compare(precedence[a.Name], precedence[b.Name]), strings.Compare(a.Name, b.Name))
	})
	p.forget(c)
	return c, p.admit(now)
}

// forget drops the numbers of what is neither configured nor in use.
func (p *Pool) forget(c *Config) {
	keep := map[*Stats]bool{}
	for _, s := range c.schemas {
		keep[s.stats] = true
	}
	for k, s := range p.stats {
		if !keep[s] && s.Waiting == 0 && s.Running == 0 {
			delete(p.stats, k)
		}
	}
}

type named interface{ GetName() string }

// withMandatory adds what the server cannot do without.
func withMandatory[T named](have, suggested []T) []T {
	out := slices.Clone(have)
	for _, o := range suggested {
		if Mandatory(o.GetName()) && !slices.ContainsFunc(have, func(h T) bool { return h.GetName() == o.GetName() }) {
			out = append(out, o)
		}
	}
	return out
}

func (p *Pool) total() int { return cmp.Or(p.Total, TotalSeats) }

// setLevels makes the levels what the objects say, and counts anew what is lent.
func (p *Pool) setLevels(levels []*flowcontrolv1.PriorityLevelConfiguration) (map[string]*Level, map[string]string) {
	shares := 0
	old := map[string]*Level{}
	for _, l := range p.levels {
		old[l.Name] = l
		l.gone = true
	}
	for _, o := range levels {
		shares += sharesOf(o)
		if l := old[o.Name]; l != nil {
			l.gone = false
		}
	}
	// What is gone has its share until it is empty.
	p.levels = slices.DeleteFunc(p.levels, func(l *Level) bool { return l.gone && l.idle() })
	for _, l := range p.levels {
		if l.gone {
			shares += l.shares
		}
	}
	leaving := slices.DeleteFunc(slices.Clone(p.levels), func(l *Level) bool { return !l.gone })
	byName, ids := map[string]*Level{}, map[string]string{}
	p.levels = nil
	for _, o := range levels {
		l := old[o.Name]
		if l == nil {
			l = &Level{Name: o.Name}
		}
		l.set(o, p.total(), shares)
		p.levels = append(p.levels, l)
		byName[o.Name], ids[o.Name] = l, string(o.UID)
	}
	p.levels = append(p.levels, leaving...)
	p.lent, p.spare, p.waiting = 0, 0, 0
	for _, l := range p.levels {
		p.lent += l.borrows(l.inUse)
		p.spare += l.lends(l.inUse)
		p.waiting += l.waiting
	}
	return byName, ids
}

// seed makes the flows' hands this process's own: nobody can choose names that share another's.
var seed = maphash.MakeSeed()

// Sort finds the place of a request.
func (c *Config) Sort(r *Request) Place {
	for _, s := range c.schemas {
		if !s.matches(r) {
			continue
		}
		h := s.nameHash
		switch s.by {
		case flowcontrolv1.FlowDistinguisherMethodByUserType:
			h ^= maphash.String(seed, r.User)
		case flowcontrolv1.FlowDistinguisherMethodByNamespaceType:
			h ^= maphash.String(seed, r.Namespace)
		}
		return Place{Schema: s, Hash: h}
	}
	return Place{}
}
