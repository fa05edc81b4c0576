// Package runtime is what the kubelet drives: a container runtime that speaks
// CRI (runtime.v1), over a socket. The default one is the supervised containerd of package containerd.
package runtime

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Client is a connection to a CRI runtime.
type Client struct {
	runtimeapi.RuntimeServiceClient
	Images runtimeapi.ImageServiceClient
	conn   *grpc.ClientConn
}

// maxMessage is what upstream's kubelet admits.
const maxMessage = 16 << 20

// Dial connects to the runtime's socket (a path, or unix://path) and returns when it answers.
func Dial(ctx context.Context, endpoint string) (*Client, error) {
	target := "unix://" + strings.TrimPrefix(endpoint, "unix://")
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, err
	}
	conn.Connect()
	for s := conn.GetState(); s != connectivity.Ready; s = conn.GetState() {
		if !conn.WaitForStateChange(ctx, s) {
			conn.Close()
			return nil, fmt.Errorf("the container runtime at %s does not answer: %w", endpoint, ctx.Err())
		}
	}
	return &Client{RuntimeServiceClient: runtimeapi.NewRuntimeServiceClient(conn), Images: runtimeapi.NewImageServiceClient(conn), conn: conn}, nil
}

// Close ends the connection; the runtime goes on.
func (c *Client) Close() error { return c.conn.Close() }
