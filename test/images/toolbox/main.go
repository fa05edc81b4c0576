// Command toolbox is what the test images hold of our own: one static program
// that is, by the name it is started under or by its first argument,
//
//	hello     a web server for tests of services, probes and updates (serve.go)
//	client    requests from inside a pod: get, resolve, tcp, udp (client.go)
//	wget      the wget of busybox with its time limit, which Debian's crashes on (wget.go)
//	nslookup  the nslookup of busybox 1.28 (nslookup.go)
//	curl      the options of curl that people look at services with (curl.go)
//	printenv  which Debian's busybox lacks
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() { os.Exit(run(filepath.Base(os.Args[0]), os.Args[1:])) }

func run(name string, args []string) int {
	switch name {
	case "hello":
		return serve(args)
	case "client":
		return client(args)
	case "wget":
		return wget(args)
	case "nslookup":
		return nslookup(args)
	case "curl":
		return curl(args)
	case "printenv":
		return printenv(args)
	}
	if len(args) > 0 && name == "toolbox" {
		return run(args[0], args[1:])
	}
	fmt.Fprintln(os.Stderr, "usage: toolbox hello|client|wget|nslookup|curl|printenv [arguments]")
	return 2
}
