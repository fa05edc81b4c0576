// Package cniwire is what the CNI program and the network agent say to each
// other over the agent's socket: one request, one reply, both JSON. Standard library only: the
// program that uses it is started for every pod.
package cniwire

import "encoding/json"

// Request is a CNI call as the program was called.
type Request struct {
	Command     string          `json:"command"` // ADD, DEL, CHECK, STATUS, GC
	ContainerID string          `json:"containerID"`
	Netns       string          `json:"netns"`
	IfName      string          `json:"ifName"`
	Args        string          `json:"args"`
	Config      json.RawMessage `json:"config"`
}

// Reply is the outcome: a CNI result, or an error.
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

// The codes of the CNI specification that are used.
const (
	CodeInvalidEnvironment = 4
	CodeIO                 = 5
	CodeDecode             = 6
	CodeInvalidConfig      = 7
	CodeTryLater           = 11
	CodeInternal           = 999
)
