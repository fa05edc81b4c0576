package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// client sends a request and prints the answer; it fails when there is none in time.
//
//	client [-timeout 5s] [-times 1] get URL | resolve NAME | tcp HOST:PORT [TEXT] | udp HOST:PORT [TEXT]
func client(args []string) int {
	f := flag.NewFlagSet("client", flag.ExitOnError)
	timeout := f.Duration("timeout", 5*time.Second, "for each request")
	times := f.Int("times", 1, "requests, each by a connection of its own")
	f.Parse(args)
	if f.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: client [-timeout 5s] [-times 1] get URL | resolve NAME | tcp HOST:PORT [TEXT] | udp HOST:PORT [TEXT]")
		return 2
	}
	text := f.Arg(2)
	if text == "" {
		text = "hostname"
	}
	failed := 0
	for range *times {
		ctx, cancel := context.WithTimeout(context.Background(), *timeout)
		err := request(ctx, f.Arg(0), f.Arg(1), text)
		cancel()
		if err != nil {
			fmt.Fprintln(os.Stderr, "client:", err)
			failed = 1
		}
	}
	return failed
}

func request(ctx context.Context, kind, target, text string) error {
	switch kind {
	case "get":
		return get(ctx, target)
	case "resolve":
		addrs, err := net.DefaultResolver.LookupHost(ctx, target)
		for _, a := range addrs {
			fmt.Println(a)
		}
		return err
	case "tcp", "udp":
		return exchange(ctx, kind, target, text)
	}
	return fmt.Errorf("no request is called %q", kind)
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// exchange sends a line and prints what first comes back.
func exchange(ctx context.Context, network, address, text string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		return err
	}
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		return err
	}
	fmt.Println(string(b[:n]))
	return nil
}
