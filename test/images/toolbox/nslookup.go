package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// nslookup prints what busybox 1.28 prints: names are tried with the search list
// of resolv.conf, and each address is looked up in turn for its name.
func nslookup(args []string) int {
	var names []string
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			names = append(names, a)
		}
	}
	if len(names) == 0 || len(names) > 2 {
		fmt.Fprintln(os.Stderr, "BusyBox v1.28.4 multi-call binary.\n\nUsage: nslookup [HOST] [SERVER]\n\nQuery the nameserver for the IP address of the given HOST\noptionally using a specified DNS server")
		return 1
	}
	resolver := net.DefaultResolver
	server := firstServer()
	if len(names) == 2 {
		server = names[1]
		resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(server, "53"))
		}}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	fmt.Printf("Server:    %s\n", server)
	printAddress(ctx, resolver, 1, server)
	fmt.Println()
	addrs, err := resolver.LookupHost(ctx, names[0])
	if net.ParseIP(names[0]) == nil && err != nil {
		fmt.Fprintf(os.Stderr, "nslookup: can't resolve '%s'\n", names[0])
		return 1
	}
	fmt.Printf("Name:      %s\n", names[0])
	for i, a := range addrs {
		printAddress(ctx, resolver, i+1, a)
	}
	return 0
}

func printAddress(ctx context.Context, r *net.Resolver, n int, addr string) {
	line := fmt.Sprintf("Address %d: %s", n, addr)
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if names, err := r.LookupAddr(short, addr); err == nil && len(names) > 0 {
		line += " " + strings.TrimSuffix(names[0], ".")
	}
	fmt.Println(line)
}

func firstServer() string {
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return "127.0.0.1"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if w := strings.Fields(s.Text()); len(w) > 1 && w[0] == "nameserver" {
			return w[1]
		}
	}
	return "127.0.0.1"
}
