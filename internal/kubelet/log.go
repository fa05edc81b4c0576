package kubelet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// logOptions are those of kubectl logs.
type logOptions struct {
	follow, previous, timestamps bool
	tail                         int64 // -1: all
	since                        time.Time
	limit                        int64 // bytes; -1: none
	stream                       string
}

func parseLogOptions(q url.Values) (logOptions, error) {
	o := logOptions{tail: -1, limit: -1}
	var err error
	number := func(name string, at *int64, least int64) {
		if v := q.Get(name); v != "" && err == nil {
			if *at, err = strconv.ParseInt(v, 10, 64); err != nil || *at < least {
				err = fmt.Errorf("%s: Invalid value: %q: must be a number of at least %d", name, v, least)
			}
		}
	}
	flag := func(name string, at *bool) {
		if v := q.Get(name); v != "" && err == nil {
			if *at, err = strconv.ParseBool(v); err != nil {
				err = fmt.Errorf("%s: Invalid value: %q: neither true nor false", name, v)
			}
		}
	}
	flag("follow", &o.follow)
	flag("previous", &o.previous)
	flag("timestamps", &o.timestamps)
	number("tailLines", &o.tail, 0)
	number("limitBytes", &o.limit, 1)
	seconds := int64(0)
	number("sinceSeconds", &seconds, 1)
	if seconds > 0 {
		o.since = time.Now().Add(-time.Duration(seconds) * time.Second)
	}
	if v := q.Get("sinceTime"); v != "" && err == nil {
		o.since, err = time.Parse(time.RFC3339, v)
	}
	o.stream = strings.ToLower(q.Get("stream"))
	if o.stream == "all" {
		o.stream = ""
	}
	return o, err
}

// logLine is a line of a log file in CRI's format: time, stream, P (partial) or F (full), text.
type logLine struct {
	stamp  string
	stream string
	full   bool
	text   []byte
}

var errLogLine = errors.New("not a line of a container's log")

func parseLogLine(b []byte) (l logLine, err error) {
	stamp, rest, ok := bytes.Cut(b, []byte{' '})
	stream, rest, ok2 := bytes.Cut(rest, []byte{' '})
	tag, text, ok3 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || !ok3 {
		if ok && ok2 {
			tag, text = bytes.TrimRight(rest, "\n"), nil
		} else {
			return l, errLogLine
		}
	}
	l.stamp, l.stream = string(stamp), string(stream)
	first, _, _ := bytes.Cut(tag, []byte{':'})
	l.full = string(first) == "F"
	if !l.full && string(first) != "P" || l.stream != "stdout" && l.stream != "stderr" {
		return l, errLogLine
	}
	l.text = text
	if !l.full {
		l.text = bytes.TrimSuffix(text, []byte{'\n'})
	}
	return l, nil
}

// copyLog writes the log file's lines that o asks for, and goes on as the file
// grows if o says so and the container runs.
func copyLog(ctx context.Context, out io.Writer, file string, o logOptions, running func() bool) error {
	f, err := os.Open(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer func() { f.Close() }()
	start, err := tailOffset(f, o.tail)
	if err != nil {
		return err
	}
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return err
	}
	var watch *fileWatch
	if o.follow {
		if watch, err = watchFile(file); err != nil {
			return err
		}
		defer watch.close()
	}
	c := &logCopy{out: out, o: o, limit: o.limit}
	r := bufio.NewReaderSize(f, 32<<10)
	var part []byte
	for {
		chunk, err := r.ReadBytes('\n')
		part = append(part, chunk...)
		if err == nil {
			if done, werr := c.line(part); done || werr != nil {
				return werr
			}
			part = part[:0]
			continue
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		if !o.follow {
			return nil
		}
		alive := running()
		next, err := reopened(f, file)
		if err != nil {
			return err
		}
		if next != nil {
			// The log was rotated: the rest of the old file has been read.
			f.Close()
			f, r, part = next, bufio.NewReaderSize(next, 32<<10), part[:0]
			continue
		}
		if !alive {
			// What was written before the end may have come after the last read.
			if rest, _ := r.Peek(1); len(rest) > 0 {
				continue
			}
			return nil
		}
		if err := watch.wait(ctx); err != nil {
			return nil
		}
	}
}

// logCopy writes lines out, within bounds.
type logCopy struct {
	out     io.Writer
	o       logOptions
	limit   int64
	partial bool // the line before was not full
}

func (c *logCopy) line(b []byte) (done bool, err error) {
	l, err := parseLogLine(b)
	if err != nil {
		return false, nil // a torn line of a crash: the rest is worth reading
	}
	continued := c.partial
	c.partial = !l.full
	if c.o.stream != "" && l.stream != c.o.stream {
		return false, nil
	}
	if !c.o.since.IsZero() {
		if at, err := time.Parse(time.RFC3339Nano, l.stamp); err == nil && at.Before(c.o.since) {
			return false, nil
		}
	}
	text := l.text
	if c.o.timestamps && !continued {
		text = append([]byte(l.stamp+" "), text...)
	}
	if c.limit >= 0 && int64(len(text)) >= c.limit {
		text, done = text[:c.limit], true
	}
	if c.limit >= 0 {
		c.limit -= int64(len(text))
	}
	_, err = c.out.Write(text)
	return done, err
}

// tailOffset is where the last n lines begin.
func tailOffset(f *os.File, n int64) (int64, error) {
	if n < 0 {
		return 0, nil
	}
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := st.Size()
	if n == 0 {
		return end, nil
	}
	buf := make([]byte, 32<<10)
	var seen int64
	for at := end; at > 0; {
		size := min(at, int64(len(buf)))
		at -= size
		if _, err := f.ReadAt(buf[:size], at); err != nil {
			return 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] != '\n' || at+i == end-1 {
				continue
			}
			if seen++; seen == n {
				return at + i + 1, nil
			}
		}
	}
	return 0, nil
}

// lastLines is the end of a log, for termination messages.
func lastLines(file string, lines, limit int64) (string, error) {
	var b bytes.Buffer
	if err := copyLog(context.Background(), &b, file, logOptions{tail: lines, limit: -1}, nil); err != nil {
		return "", err
	}
	if int64(b.Len()) > limit {
		return string(b.Bytes()[int64(b.Len())-limit:]), nil
	}
	return b.String(), nil
}

// reopened opens the file anew if another one has its name now.
func reopened(f *os.File, name string) (*os.File, error) {
	have, err := f.Stat()
	if err != nil {
		return nil, err
	}
	now, err := os.Stat(name)
	if err != nil || os.SameFile(have, now) {
		return nil, nil
	}
	return os.Open(name)
}

// fileWatch waits for writes to a file, or for another file under its name.
type fileWatch struct{ f *os.File }

func watchFile(name string) (*fileWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(name), unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_CLOSE_WRITE); err != nil {
		unix.Close(fd)
		return nil, err
	}
	// As a file under Go's poller: reading it parks the goroutine, not a thread.
	return &fileWatch{os.NewFile(uintptr(fd), "inotify")}, nil
}

// wait returns when something happened; at the latest after a second, because a
// container's end writes nothing.
func (w *fileWatch) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { w.f.SetReadDeadline(time.Now()) })
	defer stop()
	w.f.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 4096)
	_, err := w.f.Read(buf)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

func (w *fileWatch) close() { w.f.Close() }
