package disk

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSystem is all that the store wants of a disk; tests put faults between.
type fileSystem interface {
	open(name string) (file, error)   // what exists, for reading and writing
	create(name string) (file, error) // anew and empty
	rename(from, to string) error
	remove(name string) error
	list(dir string) ([]string, error)
	syncDir(name string) error // makes the names in a directory durable
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	size() (int64, error)
	sync() error // makes what was written durable, and the size
	// append writes where there are only zeroes from there on to the end of the file, and makes it durable.
	append(b []byte, at int64) error
}

type osFiles struct{}

func (osFiles) open(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func (osFiles) create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func (osFiles) rename(from, to string) error { return os.Rename(from, to) }
func (osFiles) remove(name string) error     { return os.Remove(name) }

func (osFiles) list(dir string) ([]string, error) {
	es, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(es))
	for i, e := range es {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFiles) syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

type osFile struct {
	*os.File
	tail *tail // of what is appended; nil: nothing yet
}

func (f *osFile) size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *osFile) sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func (f *osFile) append(b []byte, at int64) error {
	if f.tail == nil {
		f.tail = openTail(f.File)
	}
	if f.tail.direct != nil {
		err := f.tail.append(f.File, b, at)
		if !errors.Is(err, syscall.EINVAL) {
			return err
		}
		f.tail.close() // this file system wants another alignment, and has written nothing
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.sync()
}

func (f *osFile) Close() error {
	if f.tail != nil {
		f.tail.close()
	}
	return f.File.Close()
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
