package runtime

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// starting is a runtime that refuses its first calls.
type starting struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	refuse atomic.Int32
}

func (s *starting) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	if s.refuse.Add(-1) >= 0 {
		return nil, status.Error(codes.Unavailable, "server is not initialized yet")
	}
	return &runtimeapi.VersionResponse{RuntimeName: "starting"}, nil
}

func TestDialWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	type outcome struct {
		c   *Client
		err error
	}
	dialed := make(chan outcome, 1)
	go func() {
		c, err := Dial(ctx, "unix://"+path)
		dialed <- outcome{c, err}
	}()
	// The socket comes after the first attempts.
	select {
	case o := <-dialed:
		t.Fatalf("Dial returned before there was a socket: %v", o.err)
	case <-time.After(20 * time.Millisecond):
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &starting{}
	s.refuse.Store(3)
	server := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(server, s)
	go server.Serve(l)
	defer server.Stop()
	o := <-dialed
	if o.err != nil {
		t.Fatal(o.err)
	}
	defer o.c.Close()
	if s.refuse.Load() >= 0 {
		t.Error("Dial returned while the runtime refused calls")
	}
	if v, err := o.c.Runtime.Version(ctx, &runtimeapi.VersionRequest{}); err != nil || v.RuntimeName != "starting" {
		t.Errorf("Version: %v, %v", v, err)
	}
}

func TestDialFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, filepath.Join(t.TempDir(), "s")); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("with nobody there: %v", err)
	}
	for _, endpoint := range []string{"tcp://127.0.0.1:1", "containerd.sock", ""} {
		if _, err := Dial(t.Context(), endpoint); err == nil || !strings.Contains(err.Error(), "is not a unix socket") {
			t.Errorf("Dial(%q): %v", endpoint, err)
		}
	}
}
