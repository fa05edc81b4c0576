package aggregate

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/skiff-k8s/skiff/internal/auth"
)

const (
	attempts   = 5           // one good answer of them is enough: a service may have a bad endpoint
	hurryAfter = time.Second // without an answer to the first
	mostRead   = 64 << 20    // of any document; more is not one
)

// fetched is an answer of a backend to the aggregator itself.
type fetched struct {
	code   int
	header http.Header
	body   []byte
}

// fetch gets a document in the name of u. Redirects are answers like any other.
func (l *link) fetch(ctx context.Context, timeout time.Duration, u *auth.User, at *url.URL, header http.Header) (*fetched, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if err := setIdentity(r.Header, u); err != nil {
		return nil, err
	}
	c := &http.Client{Transport: l.requests, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	f := &fetched{code: res.StatusCode, header: res.Header}
	if f.body, err = io.ReadAll(io.LimitReader(res.Body, mostRead+1)); err == nil && len(f.body) > mostRead {
		err = fmt.Errorf("%s is larger than %d bytes", at, mostRead)
	}
	return f, err
}

// groupVersionPath is the path that every API server has for a group version.
func (b *backend) groupVersionPath() string {
	if b.gv.Group == "" {
		return "/api/" + b.gv.Version
	}
	return "/apis/" + b.gv.Group + "/" + b.gv.Version
}

// check asks the backend for the resources of its group version, which it must
// know if it serves them. When the first attempt fails, or is slow, others go
// beside it; the last error is told when none succeeds.
func (b *backend) check(ctx context.Context, st *state) ([]byte, error) {
	if st.link.err != nil {
		return nil, st.link.err
	}
	host, err := b.a.host(ctx, st)
	if err != nil {
		return nil, err
	}
	at := &url.URL{Scheme: "https", Host: host, Path: b.groupVersionPath()}
	type result struct {
		body []byte
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, attempts)
	try := func() {
		body, err := b.attempt(ctx, st, at)
		results <- result{body, err}
	}
	go try()
	slow := time.NewTimer(min(hurryAfter, b.a.checkTime/2))
	defer slow.Stop()
	var last result
	for begun, ended := 1, 0; ended < begun; {
		select {
		case last = <-results:
			if last.err == nil {
				return last.body, nil
			}
			ended++
		case <-slow.C:
		}
		for ; begun < attempts; begun++ {
			go try()
		}
	}
	return nil, last.err
}

func (b *backend) attempt(ctx context.Context, st *state, at *url.URL) ([]byte, error) {
	f, err := st.link.fetch(ctx, b.a.checkTime, checker, at, http.Header{"Accept": {"application/json"}})
	if err == nil && (f.code < 200 || f.code > 299) {
		err = fmt.Errorf("bad status from %v: %d", at, f.code)
	}
	if err != nil {
		// The connection may be what is wrong.
		st.link.forget()
		return nil, fmt.Errorf("failing or missing response from %v: %w", at, err)
	}
	return f.body, nil
}
