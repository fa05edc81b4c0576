package networking

import (
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	networkingv1 "k8s.io/api/networking/v1"
	networkingv1beta1 "k8s.io/api/networking/v1beta1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Ingresses of the beta versions name a Service and its port in one line; those of
// extensions and of networking.k8s.io are the same but for their Go types.
var ingressVersions = api.Versions{
	api.As[networkingv1.Ingress, networkingv1beta1.Ingress]{Version: networkingv1beta1.SchemeGroupVersion, List: &networkingv1beta1.IngressList{},
		Read: readIngress, Show: showIngress},
	api.As[networkingv1.Ingress, extensionsv1beta1.Ingress]{Version: extensionsv1beta1.SchemeGroupVersion, List: &extensionsv1beta1.IngressList{},
		Read: func(from *extensionsv1beta1.Ingress, to *networkingv1.Ingress) error {
			var b networkingv1beta1.Ingress
			if err := api.Recode(from, &b); err != nil {
				return err
			}
			return readIngress(&b, to)
		},
		Show: func(from *networkingv1.Ingress, to *extensionsv1beta1.Ingress) error {
			var b networkingv1beta1.Ingress
			if err := showIngress(from, &b); err != nil {
				return err
			}
			return api.Recode(&b, to)
		}},
}

func readIngress(from *networkingv1beta1.Ingress, to *networkingv1.Ingress) error {
	// Metadata, class, TLS and status say the same; what is about backends is said anew.
	bare := *from
	bare.Spec.Backend, bare.Spec.Rules = nil, nil
	if err := api.Recode(&bare, to); err != nil {
		return err
	}
	if b := from.Spec.Backend; b != nil {
		backend := readBackend(b)
		to.Spec.DefaultBackend = &backend
	}
	for _, r := range from.Spec.Rules {
		rule := networkingv1.IngressRule{Host: r.Host}
		if r.HTTP != nil {
			rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
			for i := range r.HTTP.Paths {
				p := &r.HTTP.Paths[i]
				t := networkingv1.PathTypeImplementationSpecific
				if p.PathType != nil {
					t = networkingv1.PathType(*p.PathType)
				}
				rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{Path: p.Path, PathType: &t, Backend: readBackend(&p.Backend)})
			}
		}
		to.Spec.Rules = append(to.Spec.Rules, rule)
	}
	return nil
}

func readBackend(b *networkingv1beta1.IngressBackend) networkingv1.IngressBackend {
	out := networkingv1.IngressBackend{Resource: b.Resource}
	if b.ServiceName != "" || b.ServicePort != (intstr.IntOrString{}) {
		s := &networkingv1.IngressServiceBackend{Name: b.ServiceName}
		if b.ServicePort.Type == intstr.String {
			s.Port.Name = b.ServicePort.StrVal
		} else {
			s.Port.Number = b.ServicePort.IntVal
		}
		out.Service = s
	}
	return out
}

func showIngress(from *networkingv1.Ingress, to *networkingv1beta1.Ingress) error {
	bare := *from
	bare.Spec.DefaultBackend, bare.Spec.Rules = nil, nil
	if err := api.Recode(&bare, to); err != nil {
		return err
	}
	if b := from.Spec.DefaultBackend; b != nil {
		backend := showBackend(b)
		to.Spec.Backend = &backend
	}
	for _, r := range from.Spec.Rules {
		rule := networkingv1beta1.IngressRule{Host: r.Host}
		if r.HTTP != nil {
			rule.HTTP = &networkingv1beta1.HTTPIngressRuleValue{}
			for i := range r.HTTP.Paths {
				p := &r.HTTP.Paths[i]
				path := networkingv1beta1.HTTPIngressPath{Path: p.Path, Backend: showBackend(&p.Backend)}
				if p.PathType != nil {
					t := networkingv1beta1.PathType(*p.PathType)
					path.PathType = &t
				}
				rule.HTTP.Paths = append(rule.HTTP.Paths, path)
			}
		}
		to.Spec.Rules = append(to.Spec.Rules, rule)
	}
	return nil
}

func showBackend(b *networkingv1.IngressBackend) networkingv1beta1.IngressBackend {
	out := networkingv1beta1.IngressBackend{Resource: b.Resource}
	if s := b.Service; s != nil {
		out.ServiceName = s.Name
		out.ServicePort = intstr.FromInt32(s.Port.Number)
		if s.Port.Name != "" {
			out.ServicePort = intstr.FromString(s.Port.Name)
		}
	}
	return out
}

var ingressClassVersions = api.Versions{
	api.As[networkingv1.IngressClass, networkingv1beta1.IngressClass]{Version: networkingv1beta1.SchemeGroupVersion, List: &networkingv1beta1.IngressClassList{}},
}

var networkPolicyVersions = api.Versions{
	api.As[networkingv1.NetworkPolicy, extensionsv1beta1.NetworkPolicy]{Version: extensionsv1beta1.SchemeGroupVersion, List: &extensionsv1beta1.NetworkPolicyList{}},
}

// Addresses and their ranges are the same in v1beta1.
var (
	ipAddressVersions = api.Versions{
		api.As[networkingv1.IPAddress, networkingv1beta1.IPAddress]{Version: networkingv1beta1.SchemeGroupVersion, List: &networkingv1beta1.IPAddressList{}},
	}
	serviceCIDRVersions = api.Versions{
		api.As[networkingv1.ServiceCIDR, networkingv1beta1.ServiceCIDR]{Version: networkingv1beta1.SchemeGroupVersion, List: &networkingv1beta1.ServiceCIDRList{}},
	}
)
