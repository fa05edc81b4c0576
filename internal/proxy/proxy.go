// Package proxy makes Services reachable: it turns services and endpoint slices
// into the elements of nftables maps, and keeps the kernel equal to them.
//
// In: services and endpoint slices (watched), and what the node is. Out: one
// nftables table, and the removal of stale UDP flows. Invariants: the pure part
// (State) decides, package nft only carries out; a change of one Service touches
// its own elements only; after any error the whole table is made anew, atomically.
//
// Read program.go first (one Service to rules), then state.go (differences),
// slots.go (who gets which share) and this file (the loop). docs/service-path.md
// follows a packet.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// DefaultTable is the name of the nftables table.
const DefaultTable = "skiff-proxy"

// Options configure a Proxy.
type Options struct {
	Client   client.Client
	NodeName string
	// NodeIPs tell which endpoints without a node name are here.
	NodeIPs []netip.Addr
	// ClusterCIDR has the addresses of pods; what comes from elsewhere is
	// masqueraded on its way to a ClusterIP. When it is not valid, nothing is.
	ClusterCIDR netip.Prefix
	// ClusterCIDR6 is the same of the second family. The table of IPv6 is made only if this, or an
	// address of the node, is of it.
	ClusterCIDR6 netip.Prefix
	// TableName defaults to DefaultTable.
	TableName string
	Log       *slog.Logger
}

// Proxy programs the data path of one node.
type Proxy struct {
	Options
	ready chan struct{}
}

// New returns a Proxy; Run makes it work.
func New(o Options) *Proxy {
	if o.TableName == "" {
		o.TableName = DefaultTable
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Proxy{Options: o, ready: make(chan struct{})}
}

// Ready is closed when the first full program is in the kernel.
func (p *Proxy) Ready() <-chan struct{} { return p.ready }

// Remove deletes the table of that name; that there is none is no error.
func Remove(tableName string) error { return nft.Remove(tableName) }

// Back-off between attempts to make the table anew.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Run follows the services until the context ends. It works in the network
// namespace of the thread that calls it. The table stays when it returns, so that
// connections outlive a restart; Remove deletes it. It is called once.
func (p *Proxy) Run(ctx context.Context) error {
	tables, err := p.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	feed := newFeed(ctx, p.Client, p.NodeName, p.Log)
	defer feed.wait()
	defer cancel()
	flows, err := newStaleFlows(p.Log)
	l := loop{Proxy: p, tables: tables, flows: flows, state: NewState(Node{Name: p.NodeName, IPs: p.NodeIPs}), intake: newIntake(), retry: firstRetry}
	defer l.close()
	if err != nil {
		return err
	}
	return l.run(ctx, feed)
}

// open connects to the tables of the families in use.
func (p *Proxy) open() ([]*nft.Table, error) {
	v4, err := nft.Open(p.TableName, false, p.ClusterCIDR)
	if err != nil {
		return nil, err
	}
	if !p.ClusterCIDR6.IsValid() && !slices.ContainsFunc(p.NodeIPs, netip.Addr.Is6) {
		return []*nft.Table{v4}, nil
	}
	v6, err := nft.Open(p.TableName, true, p.ClusterCIDR6)
	if err != nil {
		return nil, errors.Join(err, v4.Close())
	}
	return []*nft.Table{v4, v6}, nil
}

// loop is one Run.
type loop struct {
	*Proxy
	tables  []*nft.Table
	flows   *staleFlows
	state   *State
	intake  *intake
	program bool // the tables are there and hold what state said last
	retry   time.Duration
	health  healthServers
}

func (l *loop) close() {
	l.health.close()
	l.flows.close()
	for _, t := range l.tables {
		if err := t.Close(); err != nil {
			l.Log.Debug("proxy: close netlink", "err", err)
		}
	}
}

func (l *loop) run(ctx context.Context, f *feed) error {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-f.batches:
			l.intake.take(l.state, b)
			l.takeWaiting(f)
		case <-again:
			again = nil
		}
		if again != nil || !l.intake.complete() {
			continue
		}
		if err := l.step(); err != nil {
			l.program = false
			l.Log.Error("proxy: programming services failed, will make the table anew", "err", err, "after", l.retry)
			again = time.After(l.retry)
			l.retry = min(2*l.retry, lastRetry)
			continue
		}
		l.retry = firstRetry
	}
}

// takeWaiting takes what has come already: it goes into the same step.
func (l *loop) takeWaiting(f *feed) {
	for {
		select {
		case b := <-f.batches:
			l.intake.take(l.state, b)
		default:
			return
		}
	}
}

// step brings the kernel up to the state.
func (l *loop) step() error {
	c := l.state.Changes()
	l.health.serve(l.state, l.Log)
	if l.program {
		return l.update(&c)
	}
	began := time.Now()
	for _, t := range l.tables {
		if err := t.Replace(l.state.Elements(), l.state.Keeps); err != nil {
			return err
		}
	}
	l.flows.forget(l.state.Flows())
	l.program = true
	select {
	case <-l.ready:
		l.Log.Info("proxy: services programmed anew", "table", l.TableName, "took", time.Since(began))
	default:
		close(l.ready)
		l.Log.Info("proxy: services programmed", "table", l.TableName, "took", time.Since(began))
	}
	return nil
}

func (l *loop) update(c *Change) error {
	if c.Empty() {
		return nil
	}
	for _, t := range l.tables {
		if err := t.Update(c.Remove, c.Add); err != nil {
			return err
		}
	}
	// Only now: a flow or entry that is deleted earlier could come back the old way.
	l.flows.forget(c.Flows)
	for _, t := range l.tables {
		if err := t.ForgetClients(c.Clients); err != nil {
			return fmt.Errorf("after an update: %w", err)
		}
	}
	return nil
}
