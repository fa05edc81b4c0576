package aggregate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// Version is a group version that a backend serves.
type Version struct {
	schema.GroupVersion
	Available bool
	// Resources are what the backend last told, and whether that is current. They are shared: copy before you change them.
	Discovery apidiscoveryv2.APIVersionDiscovery
}

// found is what a backend told of its resources when it was last checked. The answer
// to the check is the list of them, so nothing else needs to be asked or timed.
type found struct {
	sum       [sha256.Size]byte // of the answer
	current   bool
	resources []apidiscoveryv2.APIResourceDiscovery
}

// learn takes in the answer to a check (nil: there was none) and tells whether it says anything new.
func (b *backend) learn(answer []byte) (changed bool, err error) {
	old := b.found.Load()
	if answer == nil {
		if old == nil || !old.current {
			return false, nil
		}
		b.found.Store(&found{sum: old.sum, resources: old.resources})
		return true, nil
	}
	sum := sha256.Sum256(answer)
	if old != nil && old.sum == sum {
		if old.current {
			return false, nil
		}
		b.found.Store(&found{sum: sum, current: true, resources: old.resources})
		return true, nil
	}
	next := &found{sum: sum}
	next.resources, err = resourcesOf(answer, b.gv)
	next.current = err == nil
	if err != nil && old != nil {
		next.resources = old.resources
	}
	b.found.Store(next)
	return true, err
}

// resourcesOf reads an APIResourceList.
func resourcesOf(answer []byte, gv schema.GroupVersion) ([]apidiscoveryv2.APIResourceDiscovery, error) {
	var l metav1.APIResourceList
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(&l); err != nil {
		return nil, fmt.Errorf("resources of %s: %w", gv, err)
	}
	if l.Kind != "APIResourceList" {
		return nil, fmt.Errorf("resources of %s: the answer is of kind %q", gv, l.Kind)
	}
	var out []apidiscoveryv2.APIResourceDiscovery
	at := func(name string, namespaced bool) *apidiscoveryv2.APIResourceDiscovery {
		i := slices.IndexFunc(out, func(d apidiscoveryv2.APIResourceDiscovery) bool { return d.Resource == name })
		if i < 0 {
			i = len(out)
			// compat: clients of 1.26 fail where there is no kind at all.
			out = append(out, apidiscoveryv2.APIResourceDiscovery{Resource: name, ResponseKind: &metav1.GroupVersionKind{}})
		}
		out[i].Scope = apidiscoveryv2.ScopeCluster
		if namespaced {
			out[i].Scope = apidiscoveryv2.ScopeNamespace
		}
		return &out[i]
	}
	for _, r := range l.APIResources {
		kind := &metav1.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
		name, sub, isSub := strings.Cut(r.Name, "/")
		d := at(name, r.Namespaced)
		if isSub {
			d.Subresources = append(d.Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: sub, ResponseKind: kind, Verbs: r.Verbs})
			continue
		}
		d.ResponseKind, d.SingularResource, d.Verbs, d.ShortNames, d.Categories = kind, r.SingularName, r.Verbs, r.ShortNames, r.Categories
	}
	return out, nil
}

// Groups are the group versions that backends serve, in the order of Order. Those that
// do not answer are there as well, marked as stale: clients shall know that there is more than they see.
func (a *Aggregator) Groups() []Version {
	var out []Version
	services := map[*apiregistrationv1.APIService]Version{}
	var objects []*apiregistrationv1.APIService
	for _, b := range a.all() {
		st := b.state.Load()
		v := Version{GroupVersion: b.gv, Available: st.available}
		v.Discovery = apidiscoveryv2.APIVersionDiscovery{Version: b.gv.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessStale}
		if f := b.found.Load(); f != nil {
			v.Discovery.Resources = f.resources
			if f.current && st.available {
				v.Discovery.Freshness = apidiscoveryv2.DiscoveryFreshnessCurrent
			}
		}
		services[st.object] = v
		objects = append(objects, st.object)
	}
	for _, o := range byPriority(objects) {
		out = append(out, services[o])
	}
	return out
}

// Order puts the groups and versions that this server answers itself and those of
// backends into the order in which discovery lists them: by the priorities that the
// APIServices give them, or, where one has none, those that it would be registered with.
func (a *Aggregator) Order(builtin, custom []schema.GroupVersion) (groups []string, versions map[string][]string) {
	a.mu.Lock()
	var services []*apiregistrationv1.APIService
	seen := map[schema.GroupVersion]bool{}
	add := func(o *apiregistrationv1.APIService) {
		if gv := groupVersionOf(o); !seen[gv] {
			seen[gv] = true
			services = append(services, o)
		}
	}
	for name := range a.backends {
		add(a.services[name])
	}
	for _, own := range [][]*apiregistrationv1.APIService{everyLocal(builtin, false), everyLocal(custom, true)} {
		for _, o := range own {
			if have := a.services[o.Name]; have != nil {
				o = have
			}
			add(o)
		}
	}
	a.mu.Unlock()
	versions = map[string][]string{}
	for _, o := range byPriority(services) {
		g := o.Spec.Group
		if versions[g] == nil {
			groups = append(groups, g)
		}
		versions[g] = append(versions[g], o.Spec.Version)
	}
	return groups, versions
}

func groupVersionOf(o *apiregistrationv1.APIService) schema.GroupVersion {
	return schema.GroupVersion{Group: o.Spec.Group, Version: o.Spec.Version}
}

// byPriority sorts group by group. A group stands where its most important version
// puts it; its own group comes first of all, since nobody else can say anything about it.
func byPriority(services []*apiregistrationv1.APIService) []*apiregistrationv1.APIService {
	out := slices.Clone(services)
	own := func(o *apiregistrationv1.APIService) int {
		if o.Spec.Group == apiregistrationv1.GroupName {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b *apiregistrationv1.APIService) int {
		return cmp.Or(cmp.Compare(own(a), own(b)), cmp.Compare(b.Spec.GroupPriorityMinimum, a.Spec.GroupPriorityMinimum), strings.Compare(a.Name, b.Name))
	})
	rank := map[string]int{}
	for _, o := range out {
		if _, ok := rank[o.Spec.Group]; !ok {
			rank[o.Spec.Group] = len(rank)
		}
	}
	slices.SortStableFunc(out, func(a, b *apiregistrationv1.APIService) int {
		return cmp.Or(cmp.Compare(rank[a.Spec.Group], rank[b.Spec.Group]), cmp.Compare(b.Spec.VersionPriority, a.Spec.VersionPriority),
			-version.CompareKubeAwareVersionStrings(a.Spec.Version, b.Spec.Version))
	})
	return out
}
