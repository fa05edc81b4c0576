package disk

import (
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fileSystem is what the log is written to; tests put faults between.
type fileSystem interface {
	// create opens a file for writing, empty when fresh is set.
	create(name string, fresh bool) (file, error)
}

type file interface {
	io.WriterAt
	// sync makes what was written durable (data and size).
	sync() error
	Close() error
}

type osFiles struct{}

func (osFiles) create(name string, fresh bool) (file, error) {
	flags := os.O_CREATE | os.O_RDWR
	if fresh {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

type osFile struct{ *os.File }

func (f osFile) sync() error { return unix.Fdatasync(int(f.Fd())) }

// syncDir makes the names in a directory durable.
func syncDir(name string) error {
	d, err := os.Open(filepath.Clean(name))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
