package nft

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The kernel takes a batch in one piece only, and its acknowledgements wait in
// the socket until the last is there; with the default buffers that ends in ENOBUFS after
// some 200 operations. These are limits, not allocations.
const (
	writeBuffer = 256 << 20
	readBuffer  = 32 << 20
)

// elementsPerMessage keeps a message below the 64 KiB that an attribute can hold.
const elementsPerMessage = 256

// Table programs one table of the network namespace that it was opened in, in
// one address family. It is for one goroutine.
type Table struct {
	*family
	name   string
	pods   netip.Prefix
	conn   *nftables.Conn
	layout *layout
}

// Open connects to the kernel; pods have addresses of the given prefix (zero: unknown).
func Open(name string, v6 bool, pods netip.Prefix) (*Table, error) {
	c, err := connect()
	if err != nil {
		return nil, err
	}
	return &Table{family: familyOf(v6), name: name, pods: pods, conn: c}, nil
}

func connect() (*nftables.Conn, error) {
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(conn *netlink.Conn) error {
		return errors.Join(conn.SetWriteBuffer(writeBuffer), conn.SetReadBuffer(readBuffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("connect to nftables: %w", err)
	}
	return c, nil
}

// Close gives the connection back; the table stays.
func (t *Table) Close() error { return t.conn.CloseLasting() }

// Replace makes the table anew, with these elements, in one atomic step. What
// clients have learned (affinity) is kept where keep agrees.
func (t *Table) Replace(elements iter.Seq[Element], keep func(Frontend, netip.AddrPort) bool) error {
	clients, err := t.clients()
	if err != nil {
		return err
	}
	l, err := newLayout(t.conn, t.family, t.name, t.pods)
	if err != nil {
		return t.abandon(err)
	}
	t.layout = l
	if err := t.queue(elements, t.conn.SetAddElements); err != nil {
		return t.abandon(err)
	}
	for i, v := range l.variants {
		kept := slices.DeleteFunc(clients[i], func(e nftables.SetElement) bool {
			f, backend, ok := v.decodeClient(e)
			return !ok || !keep(f, backend)
		})
		for chunk := range slices.Chunk(kept, elementsPerMessage) {
			if err := t.conn.SetAddElements(v.affinity, chunk); err != nil {
				return t.abandon(err)
			}
		}
	}
	if err := t.conn.Flush(); err != nil {
		return t.abandon(fmt.Errorf("replace nftables table %s: %w", t.name, err))
	}
	return nil
}

// clients reads what clients have learned from the table that there is, by variant.
func (t *Table) clients() (out [4][]nftables.SetElement, err error) {
	tables, err := t.conn.ListTablesOfFamily(t.table)
	if err != nil {
		return out, fmt.Errorf("list nftables tables: %w", err)
	}
	if !slices.ContainsFunc(tables, func(o *nftables.Table) bool { return o.Name == t.name }) {
		return out, nil
	}
	l := describe(t.family, t.name, t.pods)
	sets, err := t.conn.GetSets(l.table)
	if err != nil {
		return out, fmt.Errorf("list sets of nftables table %s: %w", t.name, err)
	}
	for i, v := range l.variants {
		if !slices.ContainsFunc(sets, func(s *nftables.Set) bool { return s.Name == v.affinity.Name && s.IsMap && s.HasTimeout }) {
			continue // a table of another version
		}
		es, err := t.conn.GetSetElements(v.affinity)
		if err != nil {
			return out, fmt.Errorf("list client affinity: %w", err)
		}
		for _, e := range es {
			if e.Expires > 0 {
				out[i] = append(out[i], nftables.SetElement{Key: e.Key, Val: e.Val, Timeout: e.Expires})
			}
		}
	}
	return out, nil
}

// Update deletes and adds elements in one atomic step. After an error the table
// is as it was, or unknown: Replace it.
func (t *Table) Update(remove, add []Element) error {
	if err := t.queue(slices.Values(remove), t.conn.SetDeleteElements); err != nil {
		return t.abandon(err)
	}
	if err := t.queue(slices.Values(add), t.conn.SetAddElements); err != nil {
		return t.abandon(err)
	}
	if err := t.conn.Flush(); err != nil {
		return t.abandon(fmt.Errorf("update nftables table %s: %w", t.name, err))
	}
	return nil
}

// abandon drops what is queued or not yet answered: the library cannot, so the
// connection goes too.
func (t *Table) abandon(err error) error {
	c, again := connect()
	if again != nil {
		return errors.Join(err, again)
	}
	again = t.conn.CloseLasting()
	t.conn = c
	return errors.Join(err, again)
}

// queue sorts elements into their sets, and queues a message whenever one is full.
func (t *Table) queue(elements iter.Seq[Element], send func(*nftables.Set, []nftables.SetElement) error) error {
	waiting := map[*nftables.Set][]nftables.SetElement{}
	var order []*nftables.Set
	for e := range elements {
		if !t.has(e.Frontend.Addr) {
			continue
		}
		if e.Kind == KindForward && e.Mode.Affinity() != 0 {
			if err := t.layout.addSticky(t.conn, t.layout.of(e.Frontend), e.Mode.Affinity()); err != nil {
				return err
			}
		}
		sets, el := t.layout.encode(e)
		for _, s := range sets {
			if waiting[s] == nil {
				order = append(order, s)
			}
			waiting[s] = append(waiting[s], el)
			if len(waiting[s]) == elementsPerMessage {
				if err := send(s, waiting[s]); err != nil {
					return err
				}
				waiting[s] = waiting[s][:0]
			}
		}
	}
	for _, s := range order {
		if len(waiting[s]) > 0 {
			if err := send(s, waiting[s]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove deletes the tables of that name in both families; that there is none is no error.
func Remove(name string) error {
	c, err := connect()
	if err != nil {
		return err
	}
	var all error
	for _, f := range []*family{ipv4, ipv6} {
		t := &nftables.Table{Family: f.table, Name: name}
		c.AddTable(t)
		c.DelTable(t)
		err := c.Flush()
		if f == ipv6 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)) {
			continue // a kernel without it has no table of it
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("delete nftables table %s: %w", name, err))
		}
	}
	return errors.Join(all, c.CloseLasting())
}

// Clients counts the clients whose backend is remembered.
func (t *Table) Clients() (int, error) {
	all, err := t.clients()
	n := 0
	for _, es := range all {
		n += len(es)
	}
	return n, err
}
