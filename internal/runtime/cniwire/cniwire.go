// Package cniwire is what the CNI program and the network agent say to each other
// over the agent's unix socket: a connection carries one request and one reply, both JSON, each
// ended by a newline. It uses the standard library only and not its network part: the program is
// started twice for every pod, and should be small.
package cniwire

import (
	"encoding/json"
	"fmt"
	"io"
)

// Request is a CNI call as the program was called.
type Request struct {
	Command     string          `json:"command"` // ADD, DEL, CHECK, STATUS, GC
	ContainerID string          `json:"containerID"`
	Netns       string          `json:"netns"` // path; empty in a DEL of a sandbox whose namespace is gone
	IfName      string          `json:"ifName"`
	Args        string          `json:"args"`   // K8S_POD_NAMESPACE=…;K8S_POD_NAME=…;…
	Config      json.RawMessage `json:"config"` // with runtimeConfig.portMappings and, for DEL, prevResult
}

// Reply is the outcome: the CNI result of an ADD (empty for the others), or an error.
type Reply struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Error is an error as CNI programs print it.
type Error struct {
	CNIVersion string `json:"cniVersion"`
	Code       int    `json:"code"`
	Msg        string `json:"msg"`
	Details    string `json:"details,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (CNI error %d)", e.Msg, e.Details, e.Code) }

// The codes of the CNI specification that are used.
const (
	CodeInvalidEnvironment = 4
	CodeIO                 = 5
	CodeDecode             = 6
	CodeInvalidConfig      = 7
	CodeTryLater           = 11
	CodeInternal           = 999
)

// Answer reads the request of a connection, has it handled and writes the reply.
// Closing the connection, and limits of time, are the caller's.
func Answer(c io.ReadWriter, handle func(Request) Reply) error {
	var req Request
	if err := json.NewDecoder(c).Decode(&req); err != nil {
		return fmt.Errorf("read CNI request: %w", err)
	}
	if err := json.NewEncoder(c).Encode(handle(req)); err != nil {
		return fmt.Errorf("answer CNI %s of %s: %w", req.Command, req.ContainerID, err)
	}
	return nil
}

// Call sends a request and reads the reply.
func Call(c io.ReadWriter, req Request) (*Reply, error) {
	if err := json.NewEncoder(c).Encode(req); err != nil {
		return nil, err
	}
	var reply Reply
	if err := json.NewDecoder(c).Decode(&reply); err != nil {
		return nil, err
	}
	return &reply, nil
}
