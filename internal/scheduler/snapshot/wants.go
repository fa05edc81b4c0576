package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Wants is what a pod wants of its node beyond room, compiled when it is first scheduled.
type Wants struct {
	Tolerations *Tolerations
	Select      *NodeSelect // nil: any node
	Names       []string    // when Named: no other node can match Select
	Named       bool
	Prefer      *NodePrefer // nil: no preference

	Affinity      []string  // topology keys of the required affinity terms
	AffinityGroup GroupSpec // pods that all of these terms select
	Anti          []Term
	Preferred     []Term

	Hard, Soft []Spread
	// Defaulted tells that Soft are the cluster's defaults, not the pod's own.
	Defaulted bool
	softOf    uint64 // generation of the selectors that Soft is made from
	forgot    uint64

	Images []string
	Claims []Claim
}

// Term is one affinity term of the pod. Weight is negative for anti-affinity.
type Term struct {
	Topology string
	Group    GroupSpec
	Weight   int64
}

// Spread is a topology spread constraint.
type Spread struct {
	Topology                   string
	MaxSkew, MinDomains        int32
	Group                      GroupSpec
	Self                       bool // the pod is in its own group
	HonorAffinity, HonorTaints bool
}

// The spread that pods without constraints of their own get when a service or
// controller selects them.
var defaultSpread = []struct {
	topology string
	skew     int32
}{{corev1.LabelHostname, 3}, {corev1.LabelTopologyZone, 5}}

// Wants returns what the pod wants.
func (s *Snapshot) Wants(p *Pod) *Wants {
	if p.wants == nil || p.wants.forgot != s.forgot {
		p.wants = s.compileWants(p)
	}
	w := p.wants
	if len(p.Obj.Spec.TopologySpreadConstraints) == 0 && w.softOf != s.selectors.generation {
		w.softOf = s.selectors.generation
		w.Soft, w.Defaulted = s.defaultSpreadOf(p), true
	}
	return w
}

func (s *Snapshot) compileWants(p *Pod) *Wants {
	o := p.Obj
	w := &Wants{
		Tolerations: s.tolerationsOf(o.Spec.Tolerations),
		Prefer:      s.nodePrefer(o),
		Images:      imageNames(o),
		Claims:      claimsOf(o),
		forgot:      s.forgot,
	}
	if w.Names, w.Named = namedNodes(o); w.Named {
		// Kept out of the shared answers: there are as many of these as nodes.
		w.Select = newNodeSelect(o)
	} else {
		w.Select = s.nodeSelect(o)
	}
	if a := o.Spec.Affinity; a != nil {
		s.compileAffinity(w, o, a)
	}
	for i := range o.Spec.TopologySpreadConstraints {
		c := &o.Spec.TopologySpreadConstraints[i]
		sp := s.compileSpread(p, c)
		if c.WhenUnsatisfiable == corev1.ScheduleAnyway {
			w.Soft = append(w.Soft, sp)
		} else {
			w.Hard = append(w.Hard, sp)
		}
	}
	return w
}

func (s *Snapshot) compileAffinity(w *Wants, o *corev1.Pod, a *corev1.Affinity) {
	if pa := a.PodAffinity; pa != nil {
		var all []Match
		for i := range pa.RequiredDuringSchedulingIgnoredDuringExecution {
			t := &pa.RequiredDuringSchedulingIgnoredDuringExecution[i]
			all = append(all, termMatch(o, t))
			w.Affinity = append(w.Affinity, t.TopologyKey)
		}
		if len(all) > 0 {
			w.AffinityGroup = NewGroupSpec(false, all...)
		}
		for i := range pa.PreferredDuringSchedulingIgnoredDuringExecution {
			t := &pa.PreferredDuringSchedulingIgnoredDuringExecution[i]
			w.Preferred = append(w.Preferred, compileTerm(o, &t.PodAffinityTerm, int64(t.Weight)))
		}
	}
	if pa := a.PodAntiAffinity; pa != nil {
		for i := range pa.RequiredDuringSchedulingIgnoredDuringExecution {
			w.Anti = append(w.Anti, compileTerm(o, &pa.RequiredDuringSchedulingIgnoredDuringExecution[i], 0))
		}
		for i := range pa.PreferredDuringSchedulingIgnoredDuringExecution {
			t := &pa.PreferredDuringSchedulingIgnoredDuringExecution[i]
			w.Preferred = append(w.Preferred, compileTerm(o, &t.PodAffinityTerm, -int64(t.Weight)))
		}
	}
}

func compileTerm(o *corev1.Pod, t *corev1.PodAffinityTerm, weight int64) Term {
	return Term{Topology: t.TopologyKey, Group: NewGroupSpec(false, termMatch(o, t)), Weight: weight}
}

func (s *Snapshot) compileSpread(p *Pod, c *corev1.TopologySpreadConstraint) Spread {
	extra := keyRequirements(nil, p.Obj.Labels, c.MatchLabelKeys, selection.In)
	sp := Spread{
		Topology: c.TopologyKey, MaxSkew: c.MaxSkew, MinDomains: 1,
		Group:         NewGroupSpec(true, NewMatch([]string{p.Obj.Namespace}, nil, c.LabelSelector, extra)),
		HonorAffinity: c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor,
		HonorTaints:   c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
	}
	if c.MinDomains != nil {
		sp.MinDomains = *c.MinDomains
	}
	sp.Self = sp.Group.Selects(s, p.Labels)
	return sp
}

func (s *Snapshot) defaultSpreadOf(p *Pod) []Spread {
	sel := s.selectors.of(p)
	if sel == nil {
		return nil
	}
	m := Match{namespaces: []string{p.Obj.Namespace}, selector: sel, key: p.Obj.Namespace + ",?" + sel.String()}
	out := make([]Spread, 0, len(defaultSpread))
	for _, d := range defaultSpread {
		sp := Spread{Topology: d.topology, MaxSkew: d.skew, MinDomains: 1, Group: NewGroupSpec(true, m), HonorAffinity: true}
		sp.Self = sp.Group.Selects(s, p.Labels)
		out = append(out, sp)
	}
	return out
}

// selectorSources knows what selects pods: services by namespace, controllers by UID.
type selectorSources struct {
	generation uint64
	services   map[string]map[string]labels.Set
	owners     map[string]*metav1.LabelSelector
}

func newSelectorSources() selectorSources {
	return selectorSources{generation: 1, services: map[string]map[string]labels.Set{}, owners: map[string]*metav1.LabelSelector{}}
}

// SetService notes the selector of a service; nil: it has none or is gone.
func (s *Snapshot) SetService(namespace, name string, sel map[string]string) {
	src := &s.selectors
	old, known := src.services[namespace][name]
	if known == (sel != nil) && labels.Equals(old, sel) {
		return
	}
	src.generation++
	if sel == nil {
		delete(src.services[namespace], name)
		return
	}
	if src.services[namespace] == nil {
		src.services[namespace] = map[string]labels.Set{}
	}
	src.services[namespace][name] = sel
}

// SetOwner notes the selector of a controller of pods; nil: it is gone.
func (s *Snapshot) SetOwner(uid string, sel *metav1.LabelSelector) {
	old := s.selectors.owners[uid]
	switch {
	case sel == nil:
		// Its pods go too: no need to look at the others again.
		delete(s.selectors.owners, uid)
	case old == nil || metav1.FormatLabelSelector(old) != metav1.FormatLabelSelector(sel):
		s.selectors.owners[uid] = sel
		s.selectors.generation++
	}
}

// of merges the selectors of the pod's services and of its controller; nil: there are none.
func (src *selectorSources) of(p *Pod) labels.Selector {
	set := labels.Set{}
	for _, svc := range src.services[p.Obj.Namespace] {
		if labels.SelectorFromSet(svc).Matches(p.Labels.Set) {
			for k, v := range svc {
				set[k] = v
			}
		}
	}
	sel := set.AsSelector()
	if c := metav1.GetControllerOfNoCopy(p.Obj); c != nil {
		if own := src.owners[string(c.UID)]; own != nil {
			if reqs, selectable := asSelector(own).Requirements(); selectable {
				sel = sel.Add(reqs...)
			}
		}
	}
	if sel.Empty() {
		return nil
	}
	return sel
}
