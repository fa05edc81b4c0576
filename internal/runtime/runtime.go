// Package runtime is what the kubelet drives: a container runtime that speaks
// CRI (runtime.v1). In goes the path of a socket, out come the two CRI clients of k8s.io/cri-api,
// so that containerd, CRI-O or a runtime in our own process look alike to the kubelet.
//
// The default runtime is the supervised containerd of the folder containerd;
// cniwire is how a runtime's CNI calls reach Skiff's network agent.
package runtime

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Client is a connection to a CRI runtime.
type Client struct {
	Runtime runtimeapi.RuntimeServiceClient
	Images  runtimeapi.ImageServiceClient
	conn    *grpc.ClientConn
}

// maxMessage is what Kubernetes' kubelet admits: a list of many containers is long.
const maxMessage = 16 << 20

// Dial connects to the runtime at an endpoint (unix:///path, or a bare path) and
// returns when it answers; the socket need not exist yet. The connection mends itself
// when the runtime is restarted.
func Dial(ctx context.Context, endpoint string) (*Client, error) {
	path := strings.TrimPrefix(endpoint, "unix://")
	if strings.Contains(path, "://") || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("the container runtime endpoint %q is not a unix socket such as unix:///run/containerd/containerd.sock", endpoint)
	}
	conn, err := grpc.NewClient("unix://"+path,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		// Connecting to a unix socket costs microseconds, and gRPC's first pause of
		// a second would be most of Skiff's start.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 2 * time.Millisecond, Multiplier: 1.3, Jitter: 0.1, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to the container runtime at %s: %w", endpoint, err)
	}
	c := &Client{Runtime: runtimeapi.NewRuntimeServiceClient(conn), Images: runtimeapi.NewImageServiceClient(conn), conn: conn}
	if err := c.ready(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("the container runtime at %s does not answer: %w", endpoint, err)
	}
	return c, nil
}

// ready waits for the connection, then for the runtime, which may refuse calls
// while it reads back what it ran before.
func (c *Client) ready(ctx context.Context) error {
	for s := c.conn.GetState(); s != connectivity.Ready; s = c.conn.GetState() {
		if s == connectivity.Idle {
			c.conn.Connect()
		}
		if !c.conn.WaitForStateChange(ctx, s) {
			return ctx.Err()
		}
	}
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, err := c.Runtime.Version(ctx, &runtimeapi.VersionRequest{})
		if status.Code(err) != codes.Unavailable {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Conn is the connection, for what a runtime serves beside CRI.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Close ends the connection; the runtime goes on.
func (c *Client) Close() error { return c.conn.Close() }
