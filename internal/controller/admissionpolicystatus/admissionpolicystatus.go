// Package admissionpolicystatus tells in the status of a ValidatingAdmissionPolicy what
// its expressions name that objects of the kinds it is about do not have.
//
// A policy is looked at once for each of its generations, with the kinds that there are at
// the time. What is checked is in package api/admissionregistration (typecheck.go); here are
// the kinds (kinds.go) and the writing of the status.
package admissionpolicystatus

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/admissionregistration"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// Spec is the validatingadmissionpolicy-status-controller; rows are the kinds that there are at the time.
func Spec(rows func() []*api.Resource) controller.Spec {
	return controller.Spec{
		Name: "validatingadmissionpolicy-status-controller", For: all.For[*admissionregistrationv1.ValidatingAdmissionPolicy](), Workers: 1,
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) { return step(v, k, rows) },
	}
}

func step(v controller.View, k controller.Key, rows func() []*api.Resource) (controller.Plan, error) {
	p, err := client.Get[*admissionregistrationv1.ValidatingAdmissionPolicy](v.Context, v, "", k.Name)
	if apierrors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil || p.Generation <= p.Status.ObservedGeneration {
		return controller.Plan{}, err
	}
	next := p.DeepCopy()
	next.Status.ObservedGeneration = p.Generation
	next.Status.TypeChecking = &admissionregistrationv1.TypeChecking{
		ExpressionWarnings: admissionregistration.TypeCheck(p, &kinds{rows: rows()}),
	}
	return controller.Plan{Do: []controller.Action{{UpdateStatus: next, Else: func(err error) []controller.Action {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return []controller.Action{{Fail: err}}
	}}}}, nil
}
