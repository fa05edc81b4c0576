package all

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// patience is the processor time that any object may cost to be judged, several times what the
// dearest does and a fraction of what anything quadratic would. The best of a few tries counts.
const patience = 250 * time.Millisecond

// spent is the processor time of this thread so far: how busy the machine is makes no difference to it.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// judge defaults and validates a copy of the object, as the server does with a new one.
func judge(t *testing.T, r *api.Resource, o api.Object) field.ErrorList {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var errs field.ErrorList
	best := time.Hour
	for range 5 {
		c := o.DeepCopyObject().(api.Object)
		start := spent(t)
		r.Prepare(c)
		if r.Default != nil {
			r.Default(c)
		}
		errs = validation.ValidateObjectMetaAccessor(c, r.Namespaced, validation.ValidateNameFunc(r.Name), field.NewPath("metadata"))
		if r.Validate != nil {
			errs = append(errs, r.Validate(c)...)
		}
		if best = min(best, spent(t)-start); best < patience {
			return errs
		}
	}
	t.Errorf("%s is judged in %v", r.GVK.Kind, best)
	return errs
}

// TestMetadata gives objects of every kind names and labels that no client should send.
func TestMetadata(t *testing.T) {
	labels := map[string]string{}
	for i := range 10000 {
		labels[fmt.Sprintf("l%d", i)] = "v"
	}
	about := func(errs field.ErrorList, path string) bool {
		for _, e := range errs {
			if strings.HasPrefix(e.Field, path) && e.Detail != "" {
				return true
			}
		}
		return false
	}
	for _, r := range Rows {
		if r.Virtual {
			continue
		}
		t.Run(r.GVR.GroupResource().String(), func(t *testing.T) {
			with := func(change func(api.Object)) field.ErrorList {
				o := r.New()
				o.SetName("a")
				if r.Namespaced {
					o.SetNamespace("default")
				}
				change(o)
				return judge(t, r, o)
			}
			if errs := with(func(o api.Object) { o.SetLabels(labels) }); about(errs, "metadata.labels") {
				t.Error("ten thousand labels are refused")
			}
			for name, bad := range map[string]string{"nothing": "", "a slash": "a/b", "two dots": "..", "what is no UTF-8": "a/\xff", "a mebibyte": strings.Repeat("a/", 1<<19)} {
				if errs := with(func(o api.Object) { o.SetName(bad) }); !about(errs, "metadata.name") && !about(errs, "name") {
					t.Errorf("a name of %s is taken: %v", name, errs)
				}
			}
			if errs := with(func(o api.Object) { o.SetLabels(map[string]string{"a": "\xff"}) }); !about(errs, "metadata.labels") {
				t.Errorf("a label that is no UTF-8 is taken: %v", errs)
			}
			if errs := with(func(o api.Object) { o.SetAnnotations(map[string]string{"a": strings.Repeat("a", 256<<10)}) }); !about(errs, "metadata.annotations") {
				t.Errorf("annotations of 256 KiB and a byte are taken: %v", errs)
			}
			short := r.Name("a", false) == nil && r.Name(strings.Repeat("a", 254), false) != nil
			if errs := with(func(o api.Object) { o.SetName(strings.Repeat("a", 254)) }); short && !about(errs, "metadata.name") {
				t.Errorf("a name of 254 characters is taken: %v", errs)
			}
		})
	}
}

// TestMany gives lists with thousands of entries.
func TestMany(t *testing.T) {
	const n = 10000
	list := func(format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
		}
		return "[" + b.String() + "]"
	}
	const rule = `"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["pods"]`
	for _, c := range []struct{ kind, body string }{
		{"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration", `"webhooks":` + list(`{"name":"a#.example.com","clientConfig":{"url":"https://a"},"sideEffects":"None","admissionReviewVersions":["v1"]}`)},
		{"admissionregistration.k8s.io/v1 MutatingWebhookConfiguration", `"webhooks":[{"name":"a.example.com","clientConfig":{"url":"https://a"},"sideEffects":"None","admissionReviewVersions":` + list(`"v#"`) + `,"matchConditions":` + list(`{"name":"a#","expression":"object.a == #"}`) + `,"rules":[{"resources":` + list(`"a#/b"`) + `}]}]`},
		{"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy", `"spec":{"matchConstraints":{"resourceRules":[{` + rule + `,"resourceNames":` + list(`"a#"`) + `}]},"auditAnnotations":` + list(`{"key":"a#","valueExpression":"'a#'"}`) + `}`},
		{"admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding", `"spec":{"policyName":"a","validationActions":` + list(`"Deny#"`) + `}`},
		{"apps/v1 ControllerRevision", `"revision":1,"data":{"a":` + list(`"b#"`) + `}`},
		{"autoscaling/v2 HorizontalPodAutoscaler", `"spec":{"metrics":` + list(`{"type":"Pods","pods":{"metric":{"name":"m#"},"target":{"type":"AverageValue","averageValue":"1"}}}`) + `}`},
		{"batch/v1 Job", `"spec":{"podFailurePolicy":{"rules":[{"action":"Count","onExitCodes":{"operator":"In","values":` + list("#") + `}},{"action":"Count","onPodConditions":` + list(`{"type":"a#"}`) + `}]}}`},
		{"certificates.k8s.io/v1 CertificateSigningRequest", `"spec":{"usages":` + list(`"u#"`) + `}`},
		{"discovery.k8s.io/v1 EndpointSlice", `"addressType":"IPv4","endpoints":[{"addresses":` + list(`"10.0.0.1"`) + `,"hints":{"forZones":` + list(`{"name":"z#"}`) + `}}],"ports":` + list(`{"name":"p#"}`)},
		{"flowcontrol.apiserver.k8s.io/v1 FlowSchema", `"spec":{"rules":[{"subjects":` + list(`{"kind":"User","user":{"name":"u#"}}`) + `,"resourceRules":` + list(`{"verbs":["get"],"apiGroups":[""],"resources":["r#"],"namespaces":["n#"]}`) + `}]}`},
		{"networking.k8s.io/v1 Ingress", `"spec":{"rules":` + list(`{"host":"a#.b","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"s","port":{"number":80}}}}]}}`) + `}`},
		{"networking.k8s.io/v1 NetworkPolicy", `"spec":{"ingress":[{"ports":` + list(`{"port":"p#"}`) + `,"from":` + list(`{"ipBlock":{"cidr":"10.0.0.0/8"}}`) + `}]}`},
		{"networking.k8s.io/v1 ServiceCIDR", `"spec":{"cidrs":` + list(`"10.0.0.0/8"`) + `}`},
		{"node.k8s.io/v1 RuntimeClass", `"handler":"a","scheduling":{"tolerations":` + list(`{"key":"a#","operator":"Exists"}`) + `}`},
		{"rbac.authorization.k8s.io/v1 Role", `"rules":` + list(`{"verbs":["get"],"apiGroups":[""],"resources":["r#"]}`)},
		{"rbac.authorization.k8s.io/v1 RoleBinding", `"roleRef":{"kind":"Role","name":"a"},"subjects":` + list(`{"kind":"User","name":"u#"}`)},
		{"resource.k8s.io/v1 ResourceClaim", `"spec":{"devices":{"requests":` + list(`{"name":"r#","exactly":{"deviceClassName":"c"}}`) + `,"constraints":[{"requests":` + list(`"r#"`) + `}],"config":` + list(`{"opaque":{"driver":"d","parameters":{"a":#}}}`) + `}}`},
		{"resource.k8s.io/v1 ResourceClaimTemplate", `"spec":{"spec":{"devices":{"requests":[{"name":"a","firstAvailable":` + list(`{"name":"s#","deviceClassName":"c"}`) + `}]}}}`},
		{"resource.k8s.io/v1 DeviceClass", `"spec":{"selectors":` + list(`{"cel":{"expression":"device.driver == 'd#'"}}`) + `}`},
		{"resource.k8s.io/v1 ResourceSlice", `"spec":{"driver":"d","nodeName":"n","devices":` + list(`{"name":"g#"}`) + `}`},
		{"storage.k8s.io/v1 CSIDriver", `"spec":{"tokenRequests":` + list(`{"audience":"a#"}`) + `,"volumeLifecycleModes":` + list(`"Persistent"`) + `}`},
		{"storage.k8s.io/v1 CSINode", `"spec":{"drivers":` + list(`{"name":"d#","nodeID":"n"}`) + `}`},
		{"storage.k8s.io/v1 StorageClass", `"provisioner":"a","allowedTopologies":` + list(`{"matchLabelExpressions":[{"key":"a","values":["v#"]}]}`)},
		{"storage.k8s.io/v1 StorageClass", `"provisioner":"a","allowedTopologies":[{"matchLabelExpressions":` + list(`{"key":"a#","values":["v"]}`) + `},{"matchLabelExpressions":[{"key":"a","values":` + list(`"v#"`) + `}]}]`},
	} {
		version, kind, _ := strings.Cut(c.kind, " ")
		t.Run(kind, func(t *testing.T) {
			r, o := read(t, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: a}\n", version, kind))
			if err := json.Unmarshal([]byte("{"+c.body+"}"), o); err != nil {
				t.Fatal(err)
			}
			judge(t, r, o)
		})
	}
}

// TestAnswersAreBounded: an object with mistakes everywhere is told of in fewer bytes than it has.
func TestAnswersAreBounded(t *testing.T) {
	r, o := read(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"b","env":[`+strings.Repeat(`{"name":"="},`, 100000)+`{}]}]}}`)
	r.Prepare(o)
	fillIn(t, r, o)
	errs := r.Validate(o)
	if len(errs) > 2000 || len(errs) < 500 {
		t.Errorf("%d errors are told", len(errs))
	}
	if e := errs[len(errs)-1]; e.Field != "<more>" {
		t.Errorf("the last one is %v", e)
	}
	body, err := json.Marshal(apierrors.NewInvalid(r.GVK.GroupKind(), "a", errs).Status())
	if err != nil || len(body) > 1<<20 {
		t.Errorf("%d bytes answer, %v", len(body), err)
	}
}
