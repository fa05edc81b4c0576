package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request of curl: the options that people use to look at a service.
type curlCall struct {
	silent, showError, headOnly, include, fail, follow, insecure bool

	method, output, data, writeOut string
	header                         http.Header
	connect, total                 time.Duration
	urls                           []string
}

// The exit codes of curl that scripts look at.
const (
	curlUsage       = 2
	curlNoHost      = 6
	curlNoConnect   = 7
	curlHTTPError   = 22
	curlWriteFailed = 23
	curlTimeout     = 28
	curlEmpty       = 52
)

// curlLong are the long names of options; those in curlValues take a value.
var curlLong = map[string]string{
	"silent": "s", "show-error": "S", "head": "I", "include": "i", "fail": "f", "location": "L", "insecure": "k", "verbose": "v",
	"request": "X", "output": "o", "data": "d", "write-out": "w", "header": "H", "max-time": "m", "connect-timeout": "C", "user-agent": "A", "user": "u",
}

const curlValues = "XodwHmCAu"

func curl(args []string) int {
	c, err := parseCurl(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return curlUsage
	}
	for _, u := range c.urls {
		if code, err := c.do(u); code != 0 {
			if !c.silent || c.showError {
				fmt.Fprintf(os.Stderr, "curl: (%d) %v\n", code, err)
			}
			return code
		}
	}
	return 0
}

func parseCurl(args []string) (*curlCall, error) {
	c := &curlCall{header: http.Header{"User-Agent": {"curl/7.88.1"}, "Accept": {"*/*"}}}
	value := func(name string) (string, error) {
		if len(args) == 0 {
			return "", fmt.Errorf("option %s: requires parameter", name)
		}
		v := args[0]
		args = args[1:]
		return v, nil
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var short, inline string
		switch {
		case strings.HasPrefix(arg, "--"):
			if short = curlLong[arg[2:]]; short == "" {
				return nil, fmt.Errorf("option %s: is unknown", arg)
			}
		case strings.HasPrefix(arg, "-") && len(arg) > 1:
			short = arg[1:]
		default:
			c.urls = append(c.urls, arg)
			continue
		}
		for short != "" {
			name := short[:1]
			short = short[1:]
			if strings.Contains(curlValues, name) {
				inline, short = short, ""
				if inline == "" {
					var err error
					if inline, err = value(arg); err != nil {
						return nil, err
					}
				}
			}
			if err := c.set(name, inline); err != nil {
				return nil, err
			}
		}
	}
	if len(c.urls) == 0 {
		return nil, errors.New("no URL specified!")
	}
	return c, nil
}

func (c *curlCall) set(name, value string) error {
	flags := map[string]*bool{"s": &c.silent, "S": &c.showError, "I": &c.headOnly, "i": &c.include, "f": &c.fail, "L": &c.follow, "k": &c.insecure, "v": &c.include}
	if f := flags[name]; f != nil {
		*f = true
		return nil
	}
	switch name {
	case "X":
		c.method = value
	case "o":
		c.output = value
	case "d":
		c.data = value
		c.header.Set("Content-Type", "application/x-www-form-urlencoded")
	case "w":
		c.writeOut = value
	case "A":
		c.header.Set("User-Agent", value)
	case "u":
		name, password, _ := strings.Cut(value, ":")
		r := http.Request{Header: c.header}
		r.SetBasicAuth(name, password)
	case "H":
		k, v, _ := strings.Cut(value, ":")
		c.header.Set(strings.TrimSpace(k), strings.TrimSpace(v))
	case "m", "C":
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("option -%s: expected a proper numerical parameter", name)
		}
		d := time.Duration(seconds * float64(time.Second))
		if name == "m" {
			c.total = d
		} else {
			c.connect = d
		}
	default:
		return fmt.Errorf("option -%s: is unknown", name)
	}
	return nil
}

func (c *curlCall) do(target string) (int, error) {
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	ctx := context.Background()
	if c.total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.total)
		defer cancel()
	}
	method := c.method
	switch {
	case method != "":
	case c.headOnly:
		method = http.MethodHead
	case c.data != "":
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(c.data))
	if err != nil {
		return 3, err
	}
	req.Header = c.header
	if h := c.header.Get("Host"); h != "" {
		req.Host = h
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: c.insecure},
		DialContext: (&net.Dialer{Timeout: c.connect}).DialContext,
	}}
	if !c.follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return curlError(req, err, began)
	}
	defer resp.Body.Close()
	return c.print(resp, began)
}

func curlError(req *http.Request, err error, began time.Time) (int, error) {
	took := time.Since(began).Milliseconds()
	host, port := req.URL.Hostname(), req.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[req.URL.Scheme]
	}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && !dns.IsTimeout:
		return curlNoHost, fmt.Errorf("Could not resolve host: %s", host)
	case errors.As(err, &timeout) && timeout.Timeout():
		return curlTimeout, fmt.Errorf("Connection timed out after %d milliseconds", took)
	case errors.Is(err, io.EOF):
		return curlEmpty, errors.New("Empty reply from server")
	}
	return curlNoConnect, fmt.Errorf("Failed to connect to %s port %s after %d ms: Couldn't connect to server", host, port, took)
}

func (c *curlCall) print(resp *http.Response, began time.Time) (int, error) {
	if c.fail && resp.StatusCode >= 400 {
		return curlHTTPError, fmt.Errorf("The requested URL returned error: %d", resp.StatusCode)
	}
	out := io.Writer(os.Stdout)
	if c.output != "" && c.output != "-" {
		f, err := os.Create(c.output)
		if err != nil {
			return curlWriteFailed, err
		}
		defer f.Close()
		out = f
	}
	if c.headOnly || c.include {
		fmt.Fprintf(out, "%s %s\r\n", resp.Proto, resp.Status)
		for _, k := range slices.Sorted(maps.Keys(resp.Header)) {
			for _, v := range resp.Header[k] {
				fmt.Fprintf(out, "%s: %s\r\n", k, v)
			}
		}
		fmt.Fprint(out, "\r\n")
	}
	n, err := io.Copy(out, resp.Body)
	if c.writeOut != "" {
		fmt.Print(strings.NewReplacer(`\n`, "\n", `\t`, "\t", "%{http_code}", strconv.Itoa(resp.StatusCode), "%{response_code}", strconv.Itoa(resp.StatusCode),
			"%{size_download}", strconv.FormatInt(n, 10), "%{time_total}", fmt.Sprintf("%.6f", time.Since(began).Seconds())).Replace(c.writeOut))
	}
	if err != nil {
		return curlTimeout, fmt.Errorf("Operation timed out after %d milliseconds", time.Since(began).Milliseconds())
	}
	return 0, nil
}
