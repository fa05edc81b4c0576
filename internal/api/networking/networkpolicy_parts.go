package networking

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func defaultNetworkPolicy(o *networkingv1.NetworkPolicy) {
	s := &o.Spec
	for i := range s.Ingress {
		defaultPolicyPorts(s.Ingress[i].Ports)
	}
	for i := range s.Egress {
		defaultPolicyPorts(s.Egress[i].Ports)
	}
	if len(s.PolicyTypes) == 0 {
		s.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(s.Egress) > 0 {
			s.PolicyTypes = append(s.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
}

func defaultPolicyPorts(ports []networkingv1.NetworkPolicyPort) {
	for i := range ports {
		meta.DefaultAt(&ports[i].Protocol, corev1.ProtocolTCP)
	}
}

func validateNetworkPolicy(o *networkingv1.NetworkPolicy) field.ErrorList {
	s := &o.Spec
	errs := meta.LabelSelector(&s.PodSelector, specPath.Child("podSelector"))
	for i := range s.Ingress {
		idx := specPath.Child("ingress").Index(i)
		errs = append(errs, validatePolicyPorts(s.Ingress[i].Ports, idx.Child("ports"))...)
		errs = append(errs, validatePeers(s.Ingress[i].From, idx.Child("from"))...)
	}
	for i := range s.Egress {
		idx := specPath.Child("egress").Index(i)
		errs = append(errs, validatePolicyPorts(s.Egress[i].Ports, idx.Child("ports"))...)
		errs = append(errs, validatePeers(s.Egress[i].To, idx.Child("to"))...)
	}
	types := specPath.Child("policyTypes")
	if len(s.PolicyTypes) > 2 {
		return append(errs, field.Invalid(types, s.PolicyTypes, "may not specify more than two policyTypes"))
	}
	valid := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	for i, t := range s.PolicyTypes {
		if !slices.Contains(valid, t) {
			errs = append(errs, field.NotSupported(types.Index(i), t, valid))
		}
	}
	return errs
}

func validatePolicyPorts(ports []networkingv1.NetworkPolicyPort, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	valid := []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
	for i := range ports {
		p := &ports[i]
		idx := at.Index(i)
		if p.Protocol != nil && !slices.Contains(valid, *p.Protocol) {
			errs = append(errs, field.NotSupported(idx.Child("protocol"), *p.Protocol, valid))
		}
		end := idx.Child("endPort")
		switch {
		case p.Port == nil:
			if p.EndPort != nil {
				errs = append(errs, field.Invalid(end, *p.EndPort, "may not be specified when `port` is not specified"))
			}
		case p.Port.Type == intstr.Int:
			errs = append(errs, meta.Port(p.Port.IntVal, idx.Child("port"))...)
			if p.EndPort != nil {
				if *p.EndPort < p.Port.IntVal {
					errs = append(errs, field.Invalid(end, p.Port.IntVal, "must be greater than or equal to `port`"))
				}
				errs = append(errs, meta.Port(*p.EndPort, end)...)
			}
		default:
			if p.EndPort != nil {
				errs = append(errs, field.Invalid(end, *p.EndPort, "may not be specified when `port` is non-numeric"))
			}
			errs = append(errs, meta.Invalids(idx.Child("port"), p.Port.StrVal, validation.IsValidPortName(p.Port.StrVal))...)
		}
	}
	return errs
}

func validatePeers(peers []networkingv1.NetworkPolicyPeer, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range peers {
		p := &peers[i]
		idx := at.Index(i)
		n := 0
		if p.PodSelector != nil {
			n++
			errs = append(errs, meta.LabelSelector(p.PodSelector, idx.Child("podSelector"))...)
		}
		if p.NamespaceSelector != nil {
			n++
			errs = append(errs, meta.LabelSelector(p.NamespaceSelector, idx.Child("namespaceSelector"))...)
		}
		if p.IPBlock != nil {
			n++
			errs = append(errs, validateIPBlock(p.IPBlock, idx.Child("ipBlock"))...)
		}
		switch {
		case n == 0:
			errs = append(errs, field.Required(idx, "must specify a peer"))
		case n > 1 && p.IPBlock != nil:
			errs = append(errs, field.Forbidden(idx, "may not specify both ipBlock and another peer"))
		}
	}
	return errs
}

func validateIPBlock(b *networkingv1.IPBlock, at *field.Path) field.ErrorList {
	if b.CIDR == "" {
		return field.ErrorList{field.Required(at.Child("cidr"), "")}
	}
	errs := validation.IsValidCIDRForLegacyField(at.Child("cidr"), b.CIDR, true, nil)
	if len(errs) > 0 {
		return errs
	}
	whole, _ := netip.ParsePrefix(b.CIDR)
	for i, e := range b.Except {
		idx := at.Child("except").Index(i)
		if bad := validation.IsValidCIDRForLegacyField(idx, e, true, nil); len(bad) > 0 {
			errs = append(errs, bad...)
			continue
		}
		if part, err := netip.ParsePrefix(e); err != nil || !whole.Contains(part.Addr()) || part.Bits() <= whole.Bits() {
			errs = append(errs, field.Invalid(idx, e, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
