package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// download is a call of wget.
type download struct {
	quiet, spider, show  bool
	timeout              time.Duration
	output, body, method string
	header               http.Header
	urls                 []string
}

// wget knows the options, messages and exit codes of busybox's that are about HTTP.
func wget(args []string) int {
	d, err := parseWget(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "wget: %v\nUsage: wget [-qS] [-T SEC] [-O FILE] [--spider] [--header STR] [--post-data STR] [-U AGENT] URL...\n", err)
		return 1
	}
	for _, u := range d.urls {
		if err := d.fetch(u); err != nil {
			fmt.Fprintf(os.Stderr, "wget: %v\n", err)
			return 1
		}
	}
	return 0
}

func parseWget(args []string) (*download, error) {
	d := &download{timeout: 900 * time.Second, method: http.MethodGet, header: http.Header{"User-Agent": {"Wget"}}}
	next := func(name string) (string, error) {
		if len(args) == 0 {
			return "", fmt.Errorf("option requires an argument -- %s", name)
		}
		v := args[0]
		args = args[1:]
		return v, nil
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			if long := map[string]bool{"timeout": true, "header": true, "post-data": true, "output-document": true, "user-agent": true, "tries": true}; long[name] && !given {
				var err error
				if value, err = next(name); err != nil {
					return nil, err
				}
			}
			if err := d.set(name, value); err != nil {
				return nil, err
			}
		case strings.HasPrefix(arg, "-") && arg != "-":
			for i := 1; i < len(arg); i++ {
				name, value := arg[i:i+1], ""
				if strings.Contains("OTUPYt", name) {
					if value = arg[i+1:]; value == "" {
						var err error
						if value, err = next(name); err != nil {
							return nil, err
						}
					}
					i = len(arg)
				}
				if err := d.set(name, value); err != nil {
					return nil, err
				}
			}
		default:
			d.urls = append(d.urls, arg)
		}
	}
	if len(d.urls) == 0 {
		return nil, errors.New("no URL given")
	}
	return d, nil
}

func (d *download) set(name, value string) error {
	switch name {
	case "q", "quiet":
		d.quiet = true
	case "S", "server-response":
		d.show = true
	case "spider":
		d.spider = true
	case "O", "output-document":
		d.output = value
	case "T", "timeout":
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("invalid number '%s'", value)
		}
		d.timeout = time.Duration(n) * time.Second
	case "U", "user-agent":
		d.header.Set("User-Agent", value)
	case "header":
		k, v, _ := strings.Cut(value, ":")
		d.header.Set(strings.TrimSpace(k), strings.TrimSpace(v))
	case "post-data":
		d.method, d.body = http.MethodPost, value
		d.header.Set("Content-Type", "application/x-www-form-urlencoded")
	case "P", "Y", "t", "tries", "c", "no-check-certificate":
	default:
		return fmt.Errorf("unrecognized option '%s'", name)
	}
	return nil
}

func (d *download) fetch(target string) error {
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, d.method, u.String(), strings.NewReader(d.body))
	if err != nil {
		return err
	}
	req.Header = d.header
	if h := d.header.Get("Host"); h != "" {
		req.Host = h
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: d.dial}}).Do(req)
	if err != nil {
		return says(ctx, u, err)
	}
	defer resp.Body.Close()
	if d.show {
		fmt.Fprintf(os.Stderr, "  HTTP/1.1 %s\n", resp.Status)
		for k := range resp.Header {
			fmt.Fprintf(os.Stderr, "  %s: %s\n", k, resp.Header.Get(k))
		}
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("server returned error: HTTP/1.1 %s", resp.Status)
	}
	if d.spider {
		d.say("remote file exists\n")
		return nil
	}
	return d.save(ctx, u, resp.Body)
}

func (d *download) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		d.say("Connecting to %s (%s)\n", strings.TrimSuffix(addr, ":80"), net.JoinHostPort(ip, port))
		c, derr := (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(ip, port))
		if derr == nil {
			return c, nil
		}
		err = derr
	}
	return nil, err
}

// says puts an error into the words of busybox.
func says(ctx context.Context, u *url.URL, err error) error {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case ctx.Err() != nil:
		return errors.New("download timed out")
	case errors.As(err, &dns):
		return fmt.Errorf("bad address '%s'", u.Host)
	case errors.As(err, &op) && op.Op == "dial":
		text := op.Err.Error()
		if inner := errors.Unwrap(op.Err); inner != nil {
			text = inner.Error() // without the name of the system call
		}
		return fmt.Errorf("can't connect to remote host (%s): %s", strings.TrimSuffix(op.Addr.String(), ":"+u.Port()), strings.ToUpper(text[:1])+text[1:])
	}
	return err
}

func (d *download) save(ctx context.Context, u *url.URL, body io.Reader) error {
	name := d.output
	if name == "" {
		if name = path.Base(u.Path); name == "/" || name == "." {
			name = "index.html"
		}
	}
	out := os.Stdout
	if name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return fmt.Errorf("can't open '%s': %v", name, err)
		}
		defer f.Close()
		out = f
		d.say("saving to '%s'\n", name)
	} else {
		d.say("writing to stdout\n")
	}
	n, err := io.Copy(out, body)
	if err != nil {
		return says(ctx, u, err)
	}
	d.say("%-20.20s 100%% |%s| %5d  0:00:00 ETA\n", name, strings.Repeat("*", 32), n)
	if name != "-" {
		d.say("'%s' saved\n", name)
	} else {
		d.say("written to stdout\n")
	}
	return nil
}

func (d *download) say(format string, args ...any) {
	if !d.quiet {
		fmt.Fprintf(os.Stderr, format, args...)
	}
}
