// Command skiff-cni is the CNI plugin that container runtimes start for each pod.
// It hands the call to Skiff's network agent over the unix socket that its configuration names
// ("socket"), and prints what the agent answers: a CNI result, or a CNI error and exit code 1.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

const version = "1.0.0"

// Adding an interface takes milliseconds; a minute means that something is stuck.
const timeout = time.Minute

func main() {
	result, e := run()
	if e != nil {
		if e.CNIVersion == "" {
			e.CNIVersion = version
		}
		json.NewEncoder(os.Stdout).Encode(e)
		os.Exit(1)
	}
	os.Stdout.Write(result)
}

func run() ([]byte, *cniwire.Error) {
	command := os.Getenv("CNI_COMMAND")
	switch command {
	case "VERSION":
		return []byte(`{"cniVersion":"` + version + `","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}` + "\n"), nil
	case "ADD", "DEL", "CHECK", "STATUS", "GC":
	default:
		return nil, &cniwire.Error{Code: cniwire.CodeInvalidEnvironment, Msg: "CNI_COMMAND is not one of ADD, DEL, CHECK, STATUS, GC, VERSION", Details: command}
	}
	config, err := io.ReadAll(io.LimitReader(os.Stdin, 4<<20))
	if err != nil {
		return nil, &cniwire.Error{Code: cniwire.CodeIO, Msg: "the configuration could not be read", Details: err.Error()}
	}
	var c struct {
		CNIVersion string `json:"cniVersion"`
		Socket     string `json:"socket"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, &cniwire.Error{Code: cniwire.CodeDecode, Msg: "the configuration is not JSON", Details: err.Error()}
	}
	if c.Socket == "" {
		return nil, &cniwire.Error{CNIVersion: c.CNIVersion, Code: cniwire.CodeInvalidConfig, Msg: `the configuration names no "socket"`}
	}
	reply, err := call(c.Socket, cniwire.Request{
		Command: command, ContainerID: os.Getenv("CNI_CONTAINERID"), Netns: os.Getenv("CNI_NETNS"),
		IfName: os.Getenv("CNI_IFNAME"), Args: os.Getenv("CNI_ARGS"), Config: config,
	})
	if err != nil {
		return nil, &cniwire.Error{CNIVersion: c.CNIVersion, Code: cniwire.CodeTryLater, Msg: "Skiff's network agent does not answer (is skiff running?)", Details: err.Error()}
	}
	if reply.Error != nil && reply.Error.CNIVersion == "" {
		reply.Error.CNIVersion = c.CNIVersion
	}
	return reply.Result, reply.Error
}

// call asks the agent. It makes the socket itself, since the package net would
// double the program.
func call(path string, req cniwire.Request) (*cniwire.Reply, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := os.NewFile(uintptr(fd), path)
	defer c.Close()
	deadline := time.Now().Add(timeout)
	// Connecting to a unix socket is done at once, or the queue of the listener is full.
	for err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); errors.Is(err, syscall.EAGAIN) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
	}
	if err != nil {
		return nil, &os.PathError{Op: "connect", Path: path, Err: err}
	}
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	reply, err := cniwire.Call(c, req)
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("it closed the connection")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.New("no answer within " + timeout.String())
	}
	return reply, err
}
