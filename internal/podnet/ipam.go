package podnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// ipam gives addresses of the node's range to containers. The state is one small
// file per container, written before the address is used, so that it outlives us.
type ipam struct {
	dir  string
	cidr netip.Prefix

	mu   sync.Mutex
	by   map[string]lease // container → what it has
	used map[netip.Addr]string
	last netip.Addr // given out last: the next search begins behind it, so that addresses are not reused at once
}

// lease is the file of a container.
type lease struct {
	Address netip.Addr    `json:"address"`
	IfName  string        `json:"ifName"`
	Ports   []portMapping `json:"ports,omitempty"`
}

func openIPAM(dir string, cidr netip.Prefix) (*ipam, error) {
	if err := os.MkdirAll(filepath.Join(dir, "leases"), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "range"), []byte(cidr.String()), 0o600); err != nil {
		return nil, err
	}
	i := &ipam{dir: dir, cidr: cidr, by: map[string]lease{}, used: map[netip.Addr]string{}}
	if b, err := os.ReadFile(i.lastFile()); err == nil {
		i.last, _ = netip.ParseAddr(string(b)) // only a hint
	}
	return i, i.each(func(container string, l lease) {
		i.by[container], i.used[l.Address] = l, container
	})
}

// StoredCIDR is the range that an agent with this state directory served last; zero when there was none.
func StoredCIDR(dir string) (netip.Prefix, error) {
	b, err := os.ReadFile(filepath.Join(dir, "range"))
	if errors.Is(err, fs.ErrNotExist) {
		return netip.Prefix{}, nil
	}
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.ParsePrefix(string(b))
}

func (i *ipam) each(f func(string, lease)) error {
	es, err := os.ReadDir(filepath.Join(i.dir, "leases"))
	if err != nil {
		return err
	}
	for _, e := range es {
		b, err := os.ReadFile(i.file(e.Name()))
		if err != nil {
			return err
		}
		var l lease
		if json.Unmarshal(b, &l) != nil || !l.Address.IsValid() {
			// Not ours, or cut off by a power failure: nothing that runs has this address.
			if err := os.Remove(i.file(e.Name())); err != nil {
				return err
			}
			continue
		}
		f(e.Name(), l)
	}
	return nil
}

func (i *ipam) file(container string) string {
	return filepath.Join(i.dir, "leases", filepath.Base(container))
}

func (i *ipam) lastFile() string { return filepath.Join(i.dir, "last") }

// write stores a lease, whole or not at all.
func (i *ipam) write(container string, l lease) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	tmp := filepath.Join(i.dir, "lease.new") // one at a time: mu is held
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, i.file(container))
}

// take gives a container its address, the same again if it has one.
func (i *ipam) take(at attachment) (netip.Addr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if l, ok := i.by[at.ContainerID]; ok {
		if l.IfName != at.IfName {
			return netip.Addr{}, fmt.Errorf("container %s has interface %s already", at.ContainerID, l.IfName)
		}
		return l.Address, nil
	}
	ip, ok := next(i.cidr, i.last, func(a netip.Addr) bool { return i.used[a] != "" })
	if !ok {
		return ip, fmt.Errorf("all addresses of %s are taken", i.cidr)
	}
	l := lease{Address: ip, IfName: at.IfName}
	if err := i.write(at.ContainerID, l); err != nil {
		return ip, err
	}
	i.by[at.ContainerID], i.used[ip], i.last = l, at.ContainerID, ip
	return ip, os.WriteFile(i.lastFile(), []byte(ip.String()), 0o600)
}

// next is the first free address behind last, around the range. The network's own
// address, the gateway's and the broadcast address are never given.
func next(cidr netip.Prefix, last netip.Addr, taken func(netip.Addr) bool) (netip.Addr, bool) {
	first := cidr.Addr().Next().Next()
	ip := first
	if last.IsValid() && cidr.Contains(last.Next()) {
		ip = last.Next()
	}
	for range 1 << (cidr.Addr().BitLen() - cidr.Bits()) {
		if !cidr.Contains(ip) || !cidr.Contains(ip.Next()) {
			ip = first
		}
		if !taken(ip) {
			return ip, true
		}
		ip = ip.Next()
	}
	return netip.Addr{}, false
}

// keepPorts stores the host ports of a container with its lease.
func (i *ipam) keepPorts(container string, ports []portMapping) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	l, ok := i.by[container]
	if !ok {
		return fmt.Errorf("container %s has no address", container)
	}
	l.Ports = ports
	i.by[container] = l
	return i.write(container, l)
}

func (i *ipam) release(container string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := os.Remove(i.file(container)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if l, ok := i.by[container]; ok {
		delete(i.used, l.Address)
		delete(i.by, container)
	}
	return nil
}

func (i *ipam) find(container string) (netip.Addr, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	l, ok := i.by[container]
	return l.Address, ok
}

func (i *ipam) attachments() []attachment {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []attachment
	for id, l := range i.by {
		out = append(out, attachment{id, l.IfName})
	}
	return out
}
