package nodelifecycle

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// How long after one node of a zone the next may lose its pods.
const (
	usual     = 10 * time.Second  // 0.1 per second
	slow      = 100 * time.Second // 0.01 per second, when much of a large zone is lost
	suspended = time.Duration(-1) // nobody for now
	never     = time.Duration(-2) // and who had to go may stay

	unhealthy = 0.55 // the part of a zone that is lost when it is much
	large     = 50   // nodes in a zone that is large
	look      = 10 * time.Second
)

// zoneState counts the nodes of a zone.
type zoneState struct{ ready, lost int }

func zone(n *corev1.Node) string {
	region, zone := n.Labels[corev1.LabelTopologyRegion], n.Labels[corev1.LabelTopologyZone]
	if region == "" && zone == "" {
		return ""
	}
	return region + ":\x00:" + zone
}

// paceOf is how fast the zone of a node may lose pods, from how many of its nodes are lost.
func paceOf(v controller.View, node *corev1.Node) (time.Duration, error) {
	nodes, err := client.List[*corev1.Node](v.Context, v, "", nil)
	if err != nil {
		return 0, err
	}
	zones := map[string]zoneState{}
	for _, n := range nodes {
		if n.Name == node.Name {
			n = node // as it is going to be
		}
		z := zones[zone(n)]
		if c := condition(n, corev1.NodeReady); c != nil && c.Status == corev1.ConditionTrue {
			z.ready++
		} else {
			z.lost++
		}
		zones[zone(n)] = z
	}
	return pace(zones, zone(node)), nil
}

func pace(zones map[string]zoneState, of string) time.Duration {
	alive := false
	for _, z := range zones {
		alive = alive || z.ready > 0
	}
	z := zones[of]
	switch {
	case !alive:
		return never
	case z.ready == 0: // the zone is lost, and others can take its pods
		return usual
	case z.lost > 2 && float64(z.lost)/float64(z.lost+z.ready) >= unhealthy:
		if z.lost+z.ready > large {
			return slow
		}
		return suspended
	}
	return usual
}

// turn tells how long a node has to wait; 0: it is its turn, and the next one of the zone waits.
func (l *lifecycle) turn(zone string, pace time.Duration, now time.Time) time.Duration {
	if pace < 0 {
		return look
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.limits[zone].Sub(now); wait > 0 {
		return wait
	}
	l.limits[zone] = now.Add(pace)
	return 0
}
