package nft

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
)

// socketBuffer is room for the acknowledgements of a large batch; the default
// ends in ENOBUFS after some 200 operations.
const socketBuffer = 32 << 20

// elementsPerMessage keeps a message below the 64 KiB that an attribute can hold.
const elementsPerMessage = 256

// Table programs one table of the network namespace that it was opened in. It
// is for one goroutine.
type Table struct {
	name   string
	cidr   netip.Prefix
	conn   *nftables.Conn
	layout *layout
}

// Open connects to the kernel; pods have addresses of cidr (zero: unknown).
func Open(name string, cidr netip.Prefix) (*Table, error) {
	c, err := connect()
	if err != nil {
		return nil, err
	}
	return &Table{name: name, cidr: cidr, conn: c}, nil
}

func connect() (*nftables.Conn, error) {
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(conn *netlink.Conn) error {
		return errors.Join(conn.SetWriteBuffer(socketBuffer), conn.SetReadBuffer(socketBuffer))
	}))
	if err != nil {
		return nil, fmt.Errorf("connect to nftables: %w", err)
	}
	return c, nil
}

// Close gives the connection back; the table stays.
func (t *Table) Close() error { return t.conn.CloseLasting() }

// Replace makes the table anew, with these elements, in one atomic step.
func (t *Table) Replace(elements iter.Seq[Element]) error {
	l, err := newLayout(t.conn, t.name, t.cidr)
	if err != nil {
		return t.abandon(err)
	}
	t.layout = l
	if err := t.queue(elements, t.conn.SetAddElements); err != nil {
		return t.abandon(err)
	}
	if err := t.conn.Flush(); err != nil {
		return t.abandon(fmt.Errorf("replace nftables table %s: %w", t.name, err))
	}
	return nil
}

// Update deletes and adds elements in one atomic step. After an error the table
// is as it was, or unknown: Replace it.
func (t *Table) Update(remove, add []Element) error {
	if err := t.queue(each(remove), t.conn.SetDeleteElements); err != nil {
		return t.abandon(err)
	}
	if err := t.queue(each(add), t.conn.SetAddElements); err != nil {
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

func each(es []Element) iter.Seq[Element] {
	return func(yield func(Element) bool) {
		for _, e := range es {
			if !yield(e) {
				return
			}
		}
	}
}

// queue sorts elements into their sets, and queues a message whenever one is full.
func (t *Table) queue(elements iter.Seq[Element], send func(*nftables.Set, []nftables.SetElement) error) error {
	waiting := map[*nftables.Set][]nftables.SetElement{}
	for e := range elements {
		if !e.ipv4() {
			continue // this table is of the ip family
		}
		if e.Kind == KindMode {
			if err := t.layout.addAffinity(t.conn, t.layout.variants[index(e.Frontend)], e.Mode.Affinity()); err != nil {
				return err
			}
		}
		sets, el := t.layout.encode(e)
		for _, s := range sets {
			waiting[s] = append(waiting[s], el)
			if len(waiting[s]) == elementsPerMessage {
				if err := send(s, waiting[s]); err != nil {
					return err
				}
				waiting[s] = nil
			}
		}
	}
	for s, es := range waiting {
		if len(es) > 0 {
			if err := send(s, es); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove deletes the table; that there is none is no error.
func Remove(name string) error {
	c, err := connect()
	if err != nil {
		return err
	}
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: name}
	c.AddTable(t)
	c.DelTable(t)
	if err := c.Flush(); err != nil {
		return errors.Join(fmt.Errorf("delete nftables table %s: %w", name, err), c.CloseLasting())
	}
	return c.CloseLasting()
}
