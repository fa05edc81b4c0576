package aggregate

import (
	"maps"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
)

// Availability is what the metrics tell of an APIService.
type Availability struct {
	Name        string
	Unavailable bool
	// Lost counts how often it became unavailable, by reason, since the start.
	Lost map[string]int
}

// lost counts that an APIService is no longer available.
func (a *Aggregator) lost(name, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.losses[name] == nil {
		a.losses[name] = map[string]int{}
	}
	a.losses[name][reason]++
}

// Availability tells it of every APIService, by name: those of this server, which are always there, as well.
func (a *Aggregator) Availability() []Availability {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Availability
	for _, name := range sortedKeys(a.services) {
		c := apiregistration.Available(a.services[name])
		out = append(out, Availability{Name: name, Unavailable: c == nil || c.Status != apiregistrationv1.ConditionTrue, Lost: maps.Clone(a.losses[name])})
	}
	return out
}
