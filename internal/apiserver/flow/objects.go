package flow

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The levels and schemas that every cluster begins with, as Kubernetes suggests
// them. The mandatory ones cannot be taken away.

// Mandatory tells whether the server cannot do without the object of that name.
func Mandatory(name string) bool { return name == "exempt" || name == "catch-all" }

func ptr[T any](v T) *T { return &v }

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Annotations: map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "true"}}
}

// Levels are the suggested priority levels, the mandatory ones first.
func Levels() []*flowcontrolv1.PriorityLevelConfiguration {
	queued := func(name string, shares, queues, hand, lend int32) *flowcontrolv1.PriorityLevelConfiguration {
		return &flowcontrolv1.PriorityLevelConfiguration{ObjectMeta: meta(name), Spec: flowcontrolv1.PriorityLevelConfigurationSpec{Type: flowcontrolv1.PriorityLevelEnablementLimited,
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{NominalConcurrencyShares: ptr(shares), LendablePercent: ptr(lend),
				LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeQueue, Queuing: &flowcontrolv1.QueuingConfiguration{Queues: queues, HandSize: hand, QueueLengthLimit: 50}}}}}
	}
	return []*flowcontrolv1.PriorityLevelConfiguration{
		{ObjectMeta: meta("exempt"), Spec: flowcontrolv1.PriorityLevelConfigurationSpec{Type: flowcontrolv1.PriorityLevelEnablementExempt,
			Exempt: &flowcontrolv1.ExemptPriorityLevelConfiguration{NominalConcurrencyShares: ptr[int32](0), LendablePercent: ptr[int32](0)}}},
		{ObjectMeta: meta("catch-all"), Spec: flowcontrolv1.PriorityLevelConfigurationSpec{Type: flowcontrolv1.PriorityLevelEnablementLimited,
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{NominalConcurrencyShares: ptr[int32](5), LendablePercent: ptr[int32](0),
				LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeReject}}}},
		queued("system", 30, 64, 6, 33),
		queued("node-high", 40, 64, 6, 25),
		queued("leader-election", 10, 16, 4, 0),
		queued("workload-high", 40, 128, 6, 50),
		queued("workload-low", 100, 128, 6, 90),
		queued("global-default", 20, 128, 6, 50),
	}
}

func group(names ...string) (out []flowcontrolv1.Subject) {
	for _, n := range names {
		out = append(out, flowcontrolv1.Subject{Kind: flowcontrolv1.SubjectKindGroup, Group: &flowcontrolv1.GroupSubject{Name: n}})
	}
	return out
}

func user(names ...string) (out []flowcontrolv1.Subject) {
	for _, n := range names {
		out = append(out, flowcontrolv1.Subject{Kind: flowcontrolv1.SubjectKindUser, User: &flowcontrolv1.UserSubject{Name: n}})
	}
	return out
}

func account(ns, name string) flowcontrolv1.Subject {
	return flowcontrolv1.Subject{Kind: flowcontrolv1.SubjectKindServiceAccount, ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: ns, Name: name}}
}

// Schemas are the suggested flow schemas, the mandatory ones first.
func Schemas() []*flowcontrolv1.FlowSchema {
	all := []string{"*"}
	everything := func(subjects []flowcontrolv1.Subject) flowcontrolv1.PolicyRulesWithSubjects {
		return flowcontrolv1.PolicyRulesWithSubjects{Subjects: subjects,
			ResourceRules:    []flowcontrolv1.ResourcePolicyRule{{Verbs: all, APIGroups: all, Resources: all, ClusterScope: true, Namespaces: all}},
			NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: all, NonResourceURLs: all}}}
	}
	resources := func(verbs, groups, kinds, namespaces []string, cluster bool) flowcontrolv1.ResourcePolicyRule {
		return flowcontrolv1.ResourcePolicyRule{Verbs: verbs, APIGroups: groups, Resources: kinds, Namespaces: namespaces, ClusterScope: cluster}
	}
	schema := func(name string, precedence int32, level string, by flowcontrolv1.FlowDistinguisherMethodType, rules ...flowcontrolv1.PolicyRulesWithSubjects) *flowcontrolv1.FlowSchema {
		s := &flowcontrolv1.FlowSchema{ObjectMeta: meta(name), Spec: flowcontrolv1.FlowSchemaSpec{MatchingPrecedence: precedence,
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: level}, Rules: rules}}
		if by != "" {
			s.Spec.DistinguisherMethod = &flowcontrolv1.FlowDistinguisherMethod{Type: by}
		}
		return s
	}
	const byUser, byNamespace = flowcontrolv1.FlowDistinguisherMethodByUserType, flowcontrolv1.FlowDistinguisherMethodByNamespaceType
	anybody := group("system:unauthenticated", "system:authenticated")
	leases := []string{"coordination.k8s.io"}
	elect := []string{"get", "create", "update"}
	return []*flowcontrolv1.FlowSchema{
		schema("exempt", 1, "exempt", "", everything(group("system:masters"))),
		schema("catch-all", 10000, "catch-all", byUser, everything(anybody)),
		schema("probes", 2, "exempt", "", flowcontrolv1.PolicyRulesWithSubjects{Subjects: anybody,
			NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/healthz", "/readyz", "/livez"}}}}),
		schema("system-leader-election", 100, "leader-election", byUser, flowcontrolv1.PolicyRulesWithSubjects{
			Subjects:      append(user("system:kube-controller-manager", "system:kube-scheduler"), account("kube-system", "*")),
			ResourceRules: []flowcontrolv1.ResourcePolicyRule{resources(elect, leases, []string{"leases"}, []string{"kube-system"}, false)}}),
		schema("endpoint-controller", 150, "workload-high", byUser, flowcontrolv1.PolicyRulesWithSubjects{
			Subjects:      append(user("system:kube-controller-manager"), account("kube-system", "endpoint-controller"), account("kube-system", "endpointslicemirroring-controller")),
			ResourceRules: []flowcontrolv1.ResourcePolicyRule{resources(elect, []string{""}, []string{"endpoints"}, all, false)}}),
		schema("workload-leader-election", 200, "leader-election", byUser, flowcontrolv1.PolicyRulesWithSubjects{
			Subjects:      []flowcontrolv1.Subject{account("kube-system", "*")},
			ResourceRules: []flowcontrolv1.ResourcePolicyRule{resources(elect, leases, []string{"leases"}, all, false)}}),
		schema("system-node-high", 400, "node-high", byUser, flowcontrolv1.PolicyRulesWithSubjects{Subjects: group("system:nodes"),
			ResourceRules: []flowcontrolv1.ResourcePolicyRule{resources(all, []string{""}, []string{"nodes", "nodes/status"}, all, true), resources(all, leases, []string{"leases"}, all, false)}}),
		schema("system-nodes", 500, "system", byUser, everything(group("system:nodes"))),
		schema("kube-controller-manager", 800, "workload-high", byNamespace, everything(user("system:kube-controller-manager"))),
		schema("kube-scheduler", 800, "workload-high", byNamespace, everything(user("system:kube-scheduler"))),
		schema("kube-system-service-accounts", 900, "workload-high", byNamespace, everything([]flowcontrolv1.Subject{account("kube-system", "*")})),
		schema("service-accounts", 9000, "workload-low", byUser, everything(group("system:serviceaccounts"))),
		schema("global-default", 9900, "global-default", byUser, everything(anybody)),
	}
}
