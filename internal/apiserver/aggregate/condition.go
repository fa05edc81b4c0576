package aggregate

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/skiff-k8s/skiff/internal/api/apiregistration"
)

// seen is what the cluster knows of the service behind an APIService.
type seen struct {
	service    *corev1.Service
	serviceErr error
	slices     []*discoveryv1.EndpointSlice
	slicesErr  error
}

// judge decides from the objects alone whether a service can be available. When
// nothing speaks against it, the backend is to be asked; the condition is what it is if it answers.
func judge(ref *apiregistrationv1.ServiceReference, s seen) (c apiregistrationv1.APIServiceCondition, ask bool) {
	is := func(status apiregistrationv1.ConditionStatus, reason, format string, args ...any) apiregistrationv1.APIServiceCondition {
		return apiregistrationv1.APIServiceCondition{Type: apiregistrationv1.Available, Status: status, Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	port := apiregistration.PortOf(ref)
	switch {
	case apierrors.IsNotFound(s.serviceErr):
		return is(apiregistrationv1.ConditionFalse, "ServiceNotFound", "service/%s in %q is not present", ref.Name, ref.Namespace), false
	case s.serviceErr != nil:
		return is(apiregistrationv1.ConditionUnknown, "ServiceAccessError", "service/%s in %q cannot be checked due to: %v", ref.Name, ref.Namespace, s.serviceErr), false
	}
	passed := is(apiregistrationv1.ConditionTrue, "Passed", "all checks passed")
	// compat: only what has the plain type is looked at; other types are known by their answer.
	if s.service.Spec.Type != corev1.ServiceTypeClusterIP {
		return passed, true
	}
	name, ok := portNamed(s.service, port)
	switch {
	case !ok:
		return is(apiregistrationv1.ConditionFalse, "ServicePortError", "service/%s in %q is not listening on port %d", ref.Name, ref.Namespace, port), false
	case s.slicesErr != nil:
		return is(apiregistrationv1.ConditionUnknown, "EndpointsAccessError", "service/%s in %q cannot be checked due to: %v", ref.Name, ref.Namespace, s.slicesErr), false
	case len(s.slices) == 0:
		return is(apiregistrationv1.ConditionFalse, "EndpointsNotFound", "cannot find endpointslices for service/%s in %q", ref.Name, ref.Namespace), false
	case !anyReady(s.slices, name):
		return is(apiregistrationv1.ConditionFalse, "MissingEndpoints", "endpointslices for service/%s in %q have no addresses with port name %q", ref.Name, ref.Namespace, name), false
	}
	return passed, true
}

// failedCheck is the condition of a backend that does not answer as it should.
func failedCheck(err error) apiregistrationv1.APIServiceCondition {
	return apiregistrationv1.APIServiceCondition{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionFalse, Reason: "FailedDiscoveryCheck", Message: err.Error()}
}

// anyReady tells whether a slice has the port and an endpoint that is ready.
func anyReady(slices []*discoveryv1.EndpointSlice, port string) bool {
	for _, s := range slices {
		ready, open := false, false
		for _, e := range s.Endpoints {
			ready = ready || e.Conditions.Ready == nil || *e.Conditions.Ready
		}
		for _, p := range s.Ports {
			open = open || p.Port != nil && (p.Name == nil && port == "" || p.Name != nil && *p.Name == port)
		}
		if ready && open {
			return true
		}
	}
	return false
}

// same compares conditions but for their time.
func same(a, b *apiregistrationv1.APIServiceCondition) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message
}
