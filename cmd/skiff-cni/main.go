// Command skiff-cni is the CNI plugin that container runtimes start for each
// pod. It hands the call to Skiff's network agent over the socket that its configuration
// names, and prints what the agent answers.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

const version = "1.0.0"

func main() {
	if e := run(); e != nil {
		e.CNIVersion = version
		json.NewEncoder(os.Stdout).Encode(e)
		os.Exit(1)
	}
}

func run() *cniwire.Error {
	command := os.Getenv("CNI_COMMAND")
	if command == "VERSION" {
		fmt.Printf(`{"cniVersion":%q,"supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}`+"\n", version)
		return nil
	}
	config, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
	if err != nil {
		return &cniwire.Error{Code: cniwire.CodeIO, Msg: "the configuration could not be read", Details: err.Error()}
	}
	var c struct {
		Socket string `json:"socket"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return &cniwire.Error{Code: cniwire.CodeDecode, Msg: "the configuration is not JSON", Details: err.Error()}
	}
	if c.Socket == "" {
		return &cniwire.Error{Code: cniwire.CodeInvalidConfig, Msg: "the configuration names no socket"}
	}
	reply, err := call(c.Socket, cniwire.Request{
		Command: command, ContainerID: os.Getenv("CNI_CONTAINERID"), Netns: os.Getenv("CNI_NETNS"),
		IfName: os.Getenv("CNI_IFNAME"), Args: os.Getenv("CNI_ARGS"), Config: config,
	})
	if err != nil {
		return &cniwire.Error{Code: cniwire.CodeTryLater, Msg: "Skiff's network agent does not answer (is skiff running?)", Details: err.Error()}
	}
	if reply.Error != nil {
		return reply.Error
	}
	os.Stdout.Write(reply.Result)
	return nil
}

// call asks the agent. Adding an interface takes milliseconds; a minute means that something is stuck.
func call(socket string, req cniwire.Request) (*cniwire.Reply, error) {
	c, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if err := json.NewEncoder(c).Encode(req); err != nil {
		return nil, err
	}
	var reply cniwire.Reply
	if err := json.NewDecoder(c).Decode(&reply); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it closed the connection")
		}
		return nil, err
	}
	return &reply, nil
}
