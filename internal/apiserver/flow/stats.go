package flow

import "time"

// Stats are what happened at a schema and its level since the start, and what is
// there now.
type Stats struct {
	Schema, Level string

	Dispatched            uint64
	Refused               [reasons]uint64
	Waiting, WaitingSeats int
	Running, RunningSeats int
	Waited, WaitedInVain  Histogram
	Executed              Histogram
}

type statsKey struct{ schema, level string }

// Bounds are the upper bounds of the buckets of histograms, in seconds, as upstream's.
var Bounds = [...]float64{0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30}

var bounds = func() (out [len(Bounds)]time.Duration) {
	for i, b := range Bounds {
		out[i] = time.Duration(b * float64(time.Second))
	}
	return out
}()

// Histogram counts durations by the first bound that they do not exceed.
type Histogram struct {
	Buckets [len(Bounds) + 1]uint64
	Sum     time.Duration
}

func (h *Histogram) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.Buckets[i]++
	h.Sum += d
}

// Limits are the seats of a level.
type Limits struct {
	Level string
	// Nominal is what it has, Lower what it has when all that it may lend is lent, Upper what it may use at most.
	Nominal, Lower, Upper int
}

// Read shows the numbers to the caller, which must keep nothing of them.
func (p *Pool) Read(stats func(*Stats), levels func(Limits)) {
	for _, s := range p.stats {
		stats(s)
	}
	for _, l := range p.levels {
		levels(Limits{l.Name, l.nominal, l.nominal - l.lendable, min(l.limit, p.total())})
	}
}
