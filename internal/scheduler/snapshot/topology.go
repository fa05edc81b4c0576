package snapshot

const none = int32(-1)

// Topology tells which domain of a topology key each node is in.
type Topology struct {
	Key     string
	Domain  []int32 // by slot; negative: the node has no such label
	Domains int     // domain ids are below this
	nodes   []int32 // per domain
	ids     map[string]int32
	live    int
}

// Topology finds or makes the topology of a label key.
func (s *Snapshot) Topology(key string) *Topology {
	t := s.topologies[key]
	if t != nil {
		if t.Domains > 2*t.live+64 {
			t.reset(s)
		}
		return t
	}
	t = &Topology{Key: key}
	s.topologies[key] = t
	t.reset(s)
	return t
}

// reset numbers the domains anew: ids of domains that are gone are not kept for ever.
func (t *Topology) reset(s *Snapshot) {
	t.ids, t.nodes, t.Domains, t.live = map[string]int32{}, nil, 0, 0
	t.Domain = make([]int32, len(s.slots))
	for i, n := range s.slots {
		t.Domain[i] = none
		if n != nil {
			t.enter(n)
		}
	}
}

func (t *Topology) enter(n *Node) {
	v, ok := n.Obj.Labels[t.Key]
	if !ok {
		t.Domain[n.Slot] = none
		return
	}
	id, ok := t.ids[v]
	if !ok {
		id = int32(t.Domains)
		t.ids[v] = id
		t.nodes = append(t.nodes, 0)
		t.Domains++
	}
	if t.nodes[id] == 0 {
		t.live++
	}
	t.nodes[id]++
	t.Domain[n.Slot] = id
}

func (t *Topology) leave(slot int32) {
	id := t.Domain[slot]
	if id < 0 {
		return
	}
	t.nodes[id]--
	if t.nodes[id] == 0 {
		t.live--
	}
	t.Domain[slot] = none
}
