package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// reader is a client that costs next to nothing, so that what is measured is the server: one
// connection with several watches, whose frames are read and not decoded. A client of
// package net/http needs more of the same processors for an event than the server does.
type reader struct {
	framer *http2.Framer
	conn   *tls.Conn
}

// openReader opens a connection and as many watches on it.
func (b *bench) openReader(ctx context.Context, path string, watches int) *reader {
	cfg, err := clientcmd.BuildConfigFromFlags("", filepath.Join(b.dir, "admin.kubeconfig"))
	check(err)
	t, err := rest.TLSConfigFor(cfg)
	check(err)
	t.NextProtos = []string{http2.NextProtoTLS}
	u, err := url.Parse(cfg.Host)
	check(err)
	conn, err := (&tls.Dialer{Config: t}).DialContext(ctx, "tcp", u.Host)
	check(err)
	r := &reader{framer: http2.NewFramer(conn, conn), conn: conn.(*tls.Conn)}
	_, err = conn.Write([]byte(http2.ClientPreface))
	check(err)
	check(r.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}))
	check(r.framer.WriteWindowUpdate(0, 1<<30))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range watches {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", u.Host}, {":path", path}, {"accept", "application/vnd.kubernetes.protobuf;stream=watch"}} {
			check(enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
		}
		check(r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	}
	// The watches stand when each has answered.
	for answered := 0; answered < watches; {
		f, err := r.framer.ReadFrame()
		check(err)
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				check(r.framer.WriteSettingsAck())
			}
		case *http2.HeadersFrame:
			answered++
		}
	}
	return r
}

// stamp is what comes before the time in an event: the key "at" of a ConfigMap's data, in protobuf.
var stamp = []byte("\x0a\x02at\x12\x13")

// delays reads n events and tells how long each took.
func (r *reader) delays(n int) []time.Duration {
	defer r.conn.Close()
	out := make([]time.Duration, 0, n)
	for len(out) < n {
		f, err := r.framer.ReadFrame()
		check(err)
		data, ok := f.(*http2.DataFrame)
		if !ok {
			continue
		}
		now := time.Now()
		// A client that was not quick enough gets several events in a frame.
		for _, rest, ok := bytes.Cut(data.Data(), stamp); ok && len(rest) >= 19; _, rest, ok = bytes.Cut(rest, stamp) {
			sent, err := strconv.ParseInt(string(rest[:19]), 10, 64)
			check(err)
			out = append(out, now.Sub(time.Unix(0, sent)))
		}
	}
	return out
}

// readers opens the watches over ten connections and returns what waits for their delays.
func (b *bench) readers(ctx context.Context, path string, watches, events int) func() []time.Duration {
	const conns = 10
	var mu sync.Mutex
	var done sync.WaitGroup
	var all []time.Duration
	for range conns {
		r := b.openReader(ctx, path, watches/conns)
		done.Go(func() {
			mine := r.delays(events * watches / conns)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	return func() []time.Duration { done.Wait(); return all }
}
