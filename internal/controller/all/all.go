// Package all lists the controllers. There is one table, Controllers; the
// composition root runs each entry under its supervisor.
package all

import (
	"context"
	"net/netip"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/controller"
	"github.com/skiff-k8s/skiff/internal/controller/admissionpolicystatus"
	"github.com/skiff-k8s/skiff/internal/controller/deployment"
	"github.com/skiff-k8s/skiff/internal/controller/endpoints"
	"github.com/skiff-k8s/skiff/internal/controller/endpointslice"
	"github.com/skiff-k8s/skiff/internal/controller/garbagecollector"
	"github.com/skiff-k8s/skiff/internal/controller/namespace"
	"github.com/skiff-k8s/skiff/internal/controller/nodeipam"
	"github.com/skiff-k8s/skiff/internal/controller/nodelifecycle"
	"github.com/skiff-k8s/skiff/internal/controller/podgc"
	"github.com/skiff-k8s/skiff/internal/controller/replicaset"
	"github.com/skiff-k8s/skiff/internal/controller/resourcequota"
	"github.com/skiff-k8s/skiff/internal/controller/rootca"
	"github.com/skiff-k8s/skiff/internal/controller/serviceaccount"
	"github.com/skiff-k8s/skiff/internal/controller/tainteviction"
	"github.com/skiff-k8s/skiff/internal/controller/volumeprotection"
)

// Config is what controllers need to know beside the API.
type Config struct {
	RootCA      []byte         // PEM, published in every namespace
	ClusterCIDR []netip.Prefix // the pod network, at most one of each family; none: nodes get no ranges
	// Rows are the kinds there are now, custom ones among them; a value from RowsChanged
	// (may be nil) tells that they are others.
	Rows        func() []*api.Resource
	RowsChanged <-chan struct{}
}

// Controller is something to run with an engine until the context ends.
type Controller struct {
	Name string
	Run  func(context.Context, *controller.Engine) error
}

// Controllers are all controllers.
func Controllers(c Config) []Controller {
	specs := []controller.Spec{
		deployment.Spec(),
		replicaset.Spec(),
		replicaset.ReplicationControllers(),
		endpointslice.Spec(),
		endpointslice.Mirror(),
		endpoints.Spec(),
		serviceaccount.Spec(),
		rootca.Spec(c.RootCA),
		namespace.Spec(c.Rows),
		admissionpolicystatus.Spec(c.Rows),
		nodelifecycle.Spec(),
		tainteviction.Spec(),
		podgc.Spec(podgc.Threshold),
		nodeipam.Spec(nodeipam.Networks(c.ClusterCIDR...)),
		volumeprotection.Claims(),
		volumeprotection.Volumes(),
		volumeprotection.Classes(),
	}
	out := []Controller{{garbagecollector.Name, func(ctx context.Context, e *controller.Engine) error {
		return garbagecollector.Run(ctx, e, c.Rows, c.RowsChanged)
	}}, {resourcequota.Name, func(ctx context.Context, e *controller.Engine) error {
		return resourcequota.Run(ctx, e, c.Rows)
	}}}
	for _, s := range specs {
		out = append(out, Controller{s.Name, func(ctx context.Context, e *controller.Engine) error { return e.Run(ctx, s) }})
	}
	return out
}
