package meta

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/types"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var at = field.NewPath("metadata")

// texts are ours and the library's checks of a text.
var texts = map[string][2]func(string) []string{
	"DNSLabel":      {DNSLabel, utilvalidation.IsDNS1123Label},
	"DNSSubdomain":  {DNSSubdomain, utilvalidation.IsDNS1123Subdomain},
	"QualifiedName": {QualifiedName, utilvalidation.IsQualifiedName},
	"LabelValue":    {LabelValue, utilvalidation.IsValidLabelValue},
	"EnvName":       {EnvName, utilvalidation.IsRelaxedEnvVarName},
	"PortName":      {PortName, utilvalidation.IsValidPortName},
	"ConfigKey":     {ConfigKey, utilvalidation.IsConfigMapKey},
	"HeaderName":    {HeaderName, utilvalidation.IsHTTPHeaderName},
	"IP": {of(IP), of(func(p *field.Path, s string) field.ErrorList {
		return utilvalidation.IsValidIPForLegacyField(p, s, true, nil)
	})},
	"CIDR": {of(CIDR), of(func(p *field.Path, s string) field.ErrorList {
		return utilvalidation.IsValidCIDRForLegacyField(p, s, true, nil)
	})},
	"name":         {as(NameIsDNSSubdomain, false), as(validation.NameIsDNSSubdomain, false)},
	"prefix":       {as(NameIsDNSSubdomain, true), as(validation.NameIsDNSSubdomain, true)},
	"label":        {as(NameIsDNSLabel, false), as(validation.NameIsDNSLabel, false)},
	"label prefix": {as(NameIsDNSLabel, true), as(validation.NameIsDNSLabel, true)},
	"1035":         {as(NameIsDNS1035Label, false), as(validation.NameIsDNS1035Label, false)},
	"1035 prefix":  {as(NameIsDNS1035Label, true), as(validation.NameIsDNS1035Label, true)},
	"path":         {as(NameIsPathSegment, false), as(path.ValidatePathSegmentName, false)},
	"path prefix":  {as(NameIsPathSegment, true), as(path.ValidatePathSegmentName, true)},
	"canonical IP": {
		func(s string) []string { return nil },
		func(s string) []string {
			if CanonicalIP(s) {
				return append(of(utilvalidation.IsValidIP)(s), utilvalidation.GetWarningsForIP(at, s)...)
			}
			return nil
		},
	},
}

func of(f func(*field.Path, string) field.ErrorList) func(string) []string {
	return func(s string) (out []string) {
		for _, e := range f(at, s) {
			out = append(out, e.Error())
		}
		return out
	}
}

func as(f func(string, bool) []string, prefix bool) func(string) []string {
	return func(s string) []string { return f(s, prefix) }
}

func checkText(t *testing.T, s string) {
	for name, pair := range texts {
		if got, want := pair[0](s), pair[1](s); !slices.Equal(got, want) {
			t.Errorf("%s of %q: %q, the library says %q", name, s, got, want)
		}
	}
}

// words are what random texts are made of.
var words = []string{"a", "b", "Z", "0", "9", "-", "--", ".", "..", "_", "/", ":", "::", "=", "%", " ", "~", "\x7f", "\x00", "ä", "\xff", "web", "1.2.3.4", "10.", "01", "fe80", "ffff", "/24", "/64", "kubernetes.io", strings.Repeat("x", 62), strings.Repeat("y.", 120)}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(7) {
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()
}

func TestTextsAsTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		checkText(t, randomText(r))
	}
}

func FuzzTexts(f *testing.F) {
	for _, w := range words {
		f.Add(w)
	}
	f.Fuzz(checkText)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// maybe is mostly the first, which is right.
func maybe(r *rand.Rand, right string) string {
	if r.IntN(12) > 0 {
		return right
	}
	return randomText(r)
}

func randomMeta(r *rand.Rand) *metav1.ObjectMeta {
	yes, seconds := true, int64(30)
	made := metav1.Unix(int64(r.IntN(20)/19), 0)
	m := &metav1.ObjectMeta{
		Name: maybe(r, "web-1"), Namespace: maybe(r, "shop"), GenerateName: maybe(r, pick(r, "", "web-", "web", "-", "a--")), UID: types.UID(maybe(r, "1")), ResourceVersion: maybe(r, "7"),
		Generation: pick[int64](r, 1, 1, 1, 1, 1, 2, 0, -1), CreationTimestamp: pick(r, made, made, metav1.Time{Time: made.In(time.FixedZone("east", 3600))}),
		Labels: map[string]string{maybe(r, "app.kubernetes.io/name"): maybe(r, "web"), "b": maybe(r, "")}, Annotations: map[string]string{maybe(r, "a"): "x", maybe(r, pick(r, "Example.com/B", "example.com/b")): "y"},
	}
	if r.IntN(20) == 0 {
		m.Annotations["long"] = strings.Repeat("x", 256<<10)
	}
	for range r.IntN(3) {
		m.OwnerReferences = append(m.OwnerReferences, metav1.OwnerReference{APIVersion: maybe(r, pick(r, "apps/v1", "v1")), Kind: maybe(r, pick(r, "ReplicaSet", "Event")), Name: maybe(r, "web"), UID: types.UID(maybe(r, "2")), Controller: pick(r, nil, nil, &yes)})
	}
	for range r.IntN(3) {
		m.Finalizers = append(m.Finalizers, maybe(r, pick(r, "example.com/hold", metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents)))
	}
	for range r.IntN(3) {
		m.ManagedFields = append(m.ManagedFields, metav1.ManagedFieldsEntry{Manager: maybe(r, "kubectl"), Operation: metav1.ManagedFieldsOperationType(maybe(r, pick(r, "Apply", "Update"))), FieldsType: maybe(r, "FieldsV1"), Subresource: pick(r, "", "status", strings.Repeat("s", 257))})
	}
	if r.IntN(10) == 0 {
		m.DeletionTimestamp, m.DeletionGracePeriodSeconds = &made, &seconds
	}
	return m
}

// told are errors as text; those of maps come in any order.
func told(errs field.ErrorList) []string {
	var out []string
	for _, e := range errs {
		out = append(out, e.Error())
	}
	slices.Sort(out)
	return out
}

func checkMetadata(t *testing.T, seed uint64) (valid bool) {
	r := rand.New(rand.NewPCG(seed, 2))
	next, old := randomMeta(r), randomMeta(r)
	if r.IntN(2) == 0 {
		keep := old
		old = next.DeepCopy()
		old.Labels, old.ManagedFields = keep.Labels, keep.ManagedFields
	}
	namespaced := r.IntN(8) > 0
	want := told(validation.ValidateObjectMetaAccessor(next, namespaced, validation.NameIsDNSSubdomain, at))
	if got := told(Metadata(next, namespaced, NameIsDNSSubdomain, at)); !slices.Equal(got, want) {
		t.Errorf("seed %d: created: %q, the library says %q", seed, got, want)
	}
	// Kubernetes judges finalizers in updates as in new objects, which this function of the library does not.
	changed := told(append(validation.ValidateFinalizers(next.Finalizers, at.Child("finalizers")), validation.ValidateObjectMetaAccessorUpdate(next, old, at)...))
	if got := told(MetadataUpdate(next, old, at)); !slices.Equal(got, changed) {
		t.Errorf("seed %d: updated: %q, the library says %q", seed, got, changed)
	}
	labels, selector := next.Labels, metav1.LabelSelector{MatchLabels: next.Labels, MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: maybe(r, "a"), Operator: metav1.LabelSelectorOperator(maybe(r, pick(r, "In", "NotIn", "Exists", "DoesNotExist"))), Values: pick(r, nil, []string{maybe(r, "x")}, []string{"x", maybe(r, "")})}}}
	if got, want := told(Labels(labels, at)), told(metavalidation.ValidateLabels(labels, at)); !slices.Equal(got, want) {
		t.Errorf("seed %d: labels: %q, the library says %q", seed, got, want)
	}
	if got, want := told(LabelSelector(&selector, at)), told(metavalidation.ValidateLabelSelector(&selector, metavalidation.LabelSelectorValidationOptions{}, at)); !slices.Equal(got, want) {
		t.Errorf("seed %d: selector: %q, the library says %q", seed, got, want)
	}
	if got, want := told(Annotations(next.Annotations, at)), told(validation.ValidateAnnotations(next.Annotations, at)); !slices.Equal(got, want) {
		t.Errorf("seed %d: annotations: %q, the library says %q", seed, got, want)
	}
	return len(want) == 0 && len(changed) == 0
}

func TestMetadataAsTheLibrary(t *testing.T) {
	valid := 0
	for seed := range uint64(10000) {
		if checkMetadata(t, seed) {
			valid++
		}
	}
	if valid < 500 {
		t.Errorf("only %d of 10000 are valid", valid)
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkMetadata(t, seed) })
}

func BenchmarkMetadata(b *testing.B) {
	yes := true
	m := &metav1.ObjectMeta{
		Name: "storefront-6d4cf56db6-x7k2p", GenerateName: "storefront-6d4cf56db6-", Namespace: "shop", UID: "93fc2b5e-5d9d-4c3c-a5ab-2a3f9f5f6d10", ResourceVersion: "4711", Generation: 1, CreationTimestamp: metav1.Unix(1772442892, 0),
		Labels:          map[string]string{"app.kubernetes.io/component": "frontend", "app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/name": "storefront", "app.kubernetes.io/version": "2.14.3", "pod-template-hash": "6d4cf56db6"},
		Annotations:     map[string]string{"checksum/config": "1f2d3c4b5a69788796a5b4c3d2e1f0", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "kubectl.kubernetes.io/restartedAt": "2026-03-02T09:14:51Z", "prometheus.io/path": "/metrics", "prometheus.io/port": "9090", "prometheus.io/scrape": "true"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "storefront-6d4cf56db6", UID: "0b1c8a53-4c7f-4be8-9a53-65c6bcb3e7a1", Controller: &yes}},
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kube-controller-manager", Operation: "Update", FieldsType: "FieldsV1"}, {Manager: "kubelet", Operation: "Update", FieldsType: "FieldsV1", Subresource: "status"}},
	}
	old := m.DeepCopy()
	for _, step := range []struct {
		name string
		run  func() field.ErrorList
	}{
		{"create", func() field.ErrorList { return Metadata(m, true, NameIsDNSSubdomain, at) }},
		{"create by the library", func() field.ErrorList {
			return validation.ValidateObjectMetaAccessor(m, true, validation.NameIsDNSSubdomain, at)
		}},
		{"update", func() field.ErrorList { return MetadataUpdate(m, old, at) }},
		{"update by the library", func() field.ErrorList { return validation.ValidateObjectMetaAccessorUpdate(m, old, at) }},
	} {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if errs := step.run(); len(errs) > 0 {
					b.Fatal(errs)
				}
			}
		})
	}
}
