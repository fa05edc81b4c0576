package conformance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

var (
	validating = gvr("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
	mutating   = gvr("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")
)

// reviewed is what an admission webhook is asked about.
type reviewed struct {
	UID       string                    `json:"uid"`
	Name      string                    `json:"name"`
	Operation string                    `json:"operation"`
	Object    unstructured.Unstructured `json:"object"`
}

// admit makes a webhook of a function that refuses with a reason or gives a JSON patch.
func admit(f func(reviewed) (refusal, patch string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			APIVersion string         `json:"apiVersion"`
			Kind       string         `json:"kind"`
			Request    *reviewed      `json:"request,omitempty"`
			Response   map[string]any `json:"response"`
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		refusal, patch := f(*review.Request)
		review.Response = map[string]any{"uid": review.Request.UID, "allowed": refusal == ""}
		if refusal != "" {
			review.Response["status"] = map[string]any{"message": refusal}
		}
		if patch != "" {
			review.Response["patchType"], review.Response["patch"] = "JSONPatch", base64.StdEncoding.EncodeToString([]byte(patch))
		}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}
}

// hooked is a webhook of a configuration, called for a test's namespace alone.
func hooked(t *T, name string, client map[string]any, rule string, more map[string]any) map[string]any {
	t.Helper()
	w := map[string]any{"name": name + ".k8s.io", "clientConfig": client, "sideEffects": "None", "admissionReviewVersions": []any{"v1"}, "timeoutSeconds": int64(10),
		"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": t.ns}}, "rules": []any{object(rule).Object}}
	for k, v := range more {
		w[k] = v
	}
	return w
}

const configMapsCreated = `{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}`

// register makes a configuration of webhooks and says that its test can go on: works is
// true as soon as the webhooks are called.
func register(t *T, validates bool, works func() bool, hooks ...map[string]any) string {
	t.Helper()
	kind, resource := "MutatingWebhookConfiguration", mutating
	if validates {
		kind, resource = "ValidatingWebhookConfiguration", validating
	}
	all := make([]any, len(hooks))
	for i := range hooks {
		all[i] = hooks[i]
	}
	name := name("hooks")
	_, err := t.d.Resource(resource).Create(t.ctx, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": name}, "webhooks": all}}, metav1.CreateOptions{})
	t.ok(err)
	t.Cleanup(func() { _ = t.d.Resource(resource).Delete(t.Context(), name, metav1.DeleteOptions{}) })
	if works != nil {
		t.controlled("calling webhooks", works)
	}
	return name
}

// configMap tries to create one.
func configMap(t *T, name string, data map[string]string) (*corev1.ConfigMap, error) {
	return t.c.CoreV1().ConfigMaps(t.ns).Create(t.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
}

func TestWebhooks(t *testing.T) {
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to deny pod and configmap creation", func(t *T) {
		client := hook(t, admit(func(r reviewed) (string, string) {
			data, _, _ := unstructured.NestedStringMap(r.Object.Object, "data")
			if data["webhook-e2e-test"] == "webhook-disallow" || r.Object.GetKind() == "Pod" {
				return "the configmap contains unwanted key and value", ""
			}
			return "", ""
		}))
		register(t, true, func() bool {
			_, err := configMap(t, name("marker"), map[string]string{"webhook-e2e-test": "webhook-disallow"})
			return err != nil
		}, hooked(t, "deny", client, `{operations: [CREATE, UPDATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps, pods]}`, nil))
		_, err := configMap(t, "denied", map[string]string{"webhook-e2e-test": "webhook-disallow"})
		t.refused(err, apierrors.IsForbidden, `admission webhook "deny.k8s.io" denied the request: the configmap contains unwanted key and value`)
		_, err = t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod("denied", t.ns), metav1.CreateOptions{})
		t.refused(err, apierrors.IsForbidden)
		_, err = configMap(t, "good", map[string]string{"a": "b"})
		t.ok(err)
		_, err = t.c.CoreV1().ConfigMaps(t.ns).Patch(t.ctx, "good", types.StrategicMergePatchType, []byte(`{"data":{"webhook-e2e-test":"webhook-disallow"}}`), metav1.PatchOptions{})
		t.refused(err, apierrors.IsForbidden)
	})
	add := func(key, since string) http.HandlerFunc {
		return admit(func(r reviewed) (string, string) {
			if _, has, _ := unstructured.NestedString(r.Object.Object, "data", since); !has {
				return "", ""
			}
			return "", `[{"op":"add","path":"/data/` + key + `","value":"yes"}]`
		})
	}
	mutated := func(t *T, name string) bool {
		cm, err := configMap(t, name, map[string]string{"mutation-start": "yes"})
		t.ok(err)
		return cm.Data["mutation-stage-1"] == "yes"
	}
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate configmap", func(t *T) {
		register(t, false, func() bool { return mutated(t, name("marker")) },
			hooked(t, "one", hook(t, add("mutation-stage-1", "mutation-start")), configMapsCreated, nil),
			hooked(t, "two", hook(t, add("mutation-stage-2", "mutation-stage-1")), configMapsCreated, nil))
		cm, err := configMap(t, "both", map[string]string{"mutation-start": "yes"})
		t.ok(err)
		t.want(len(cm.Data) == 3 && cm.Data["mutation-stage-2"] == "yes", "%v", cm.Data)
	})
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] patching/updating a mutating webhook should work", func(t *T) {
		n := register(t, false, func() bool { return mutated(t, name("marker")) }, hooked(t, "one", hook(t, add("mutation-stage-1", "mutation-start")), configMapsCreated, nil))
		for operation, wanted := range map[string]bool{"UPDATE": false, "CREATE": true} {
			_, err := t.d.Resource(mutating).Patch(t.ctx, n, types.JSONPatchType, []byte(`[{"op":"replace","path":"/webhooks/0/rules/0/operations","value":["`+operation+`"]}]`), metav1.PatchOptions{})
			t.ok(err)
			t.eventually("the new rule counts", func() bool { return mutated(t, name("marker")) == wanted })
		}
		t.ok(t.d.Resource(mutating).Delete(t.ctx, n, metav1.DeleteOptions{}))
		t.eventually("the webhook is gone", func() bool { return !mutated(t, name("marker")) })
	})
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate everything except 'skip-me' configmaps", func(t *T) {
		register(t, false, func() bool { return mutated(t, name("marker")) }, hooked(t, "one", hook(t, add("mutation-stage-1", "mutation-start")), configMapsCreated,
			map[string]any{"matchConditions": []any{map[string]any{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}}}))
		t.want(!mutated(t, "skip-me") && mutated(t, "not-skipped"), "the condition does not count")
	})
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate pod and apply defaults after mutation", func(t *T) {
		client := hook(t, admit(func(reviewed) (string, string) {
			return "", `[{"op":"add","path":"/spec/initContainers","value":[{"image":"webhook-added-image","name":"webhook-added-init-container","resources":{}}]}]`
		}))
		var made *corev1.Pod
		register(t, false, func() bool {
			p, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, pod(name("p"), t.ns), metav1.CreateOptions{})
			t.ok(err)
			made = p
			return len(p.Spec.InitContainers) == 1
		}, hooked(t, "init", client, `{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}`, nil))
		t.want(made.Spec.InitContainers[0].TerminationMessagePolicy == corev1.TerminationMessageReadFile, "%+v", made.Spec.InitContainers)
	})
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should unconditionally reject operations on fail closed webhook", func(t *T) {
		client := hook(t, admit(func(reviewed) (string, string) { return "", "" }))
		delete(client, "caBundle")
		register(t, true, func() bool { _, err := configMap(t, name("marker"), nil); return err != nil }, hooked(t, "closed", client, configMapsCreated, map[string]any{"failurePolicy": "Fail"}))
		_, err := configMap(t, "foo", nil)
		t.refused(err, apierrors.IsInternalError, `failed calling webhook "closed.k8s.io"`)
	})
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should honor timeout", func(t *T) {
		let := make(chan struct{})
		client := hook(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-let:
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
			admit(func(reviewed) (string, string) { return "", "" })(w, r)
		})
		n := register(t, true, func() bool { _, err := configMap(t, name("marker"), nil); return err != nil }, hooked(t, "slow", client, configMapsCreated, map[string]any{"timeoutSeconds": int64(1), "failurePolicy": "Fail"}))
		_, err := configMap(t, "late", nil)
		t.refused(err, apierrors.IsInternalError, "deadline exceeded")
		_, err = t.d.Resource(validating).Patch(t.ctx, n, types.JSONPatchType, []byte(`[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]`), metav1.PatchOptions{})
		t.ok(err)
		t.eventually("failures are ignored", func() bool { _, err := configMap(t, name("ignored"), nil); return err == nil })
		close(let)
	})
	conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should mutate custom resource with pruning", func(t *T) {
		k := define(t, "Pruned", "v1", map[string]any{"type": "object", "properties": map[string]any{"data": map[string]any{"type": "object", "properties": map[string]any{
			"mutation-start": map[string]any{"type": "string"}, "mutation-stage-1": map[string]any{"type": "string"}}}}})
		rule := `{operations: [CREATE], apiGroups: [` + k.Group + `], apiVersions: [v1], resources: [` + k.Resource + `]}`
		var made *unstructured.Unstructured
		register(t, false, func() bool {
			var err error
			made, err = t.d.Resource(k.GroupVersionResource).Namespace(t.ns).Create(t.ctx, custom(k, name("cr"), map[string]any{"data": map[string]any{"mutation-start": "yes"}}), metav1.CreateOptions{})
			t.ok(err)
			_, is, _ := unstructured.NestedString(made.Object, "data", "mutation-stage-1")
			return is
		}, hooked(t, "one", hook(t, add("mutation-stage-1", "mutation-start")), rule, nil), hooked(t, "two", hook(t, add("mutation-stage-2", "mutation-stage-1")), rule, nil))
		_, is, _ := unstructured.NestedString(made.Object, "data", "mutation-stage-2")
		t.want(!is, "%v", made.Object)
	})
	for what, resource := range map[string]string{"validating": "validatingwebhookconfigurations", "mutating": "mutatingwebhookconfigurations"} {
		conform(t, "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] should be able to create and update "+what+" webhook configurations with match conditions, and reject invalid ones", func(t *T) {
			kind := strings.ToUpper(what[:1]) + what[1:] + "WebhookConfiguration"
			api := t.d.Resource(gvr("admissionregistration.k8s.io", "v1", resource))
			of := func(conditions ...any) *unstructured.Unstructured {
				return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": name("conditions")},
					"webhooks": []any{hooked(t, "a", map[string]any{"url": "https://localhost:1/"}, configMapsCreated, map[string]any{"matchConditions": conditions, "failurePolicy": "Ignore"})}}}
			}
			u, err := api.Create(t.ctx, of(map[string]any{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}), metav1.CreateOptions{})
			t.ok(err)
			t.Cleanup(func() { _ = api.Delete(t.Context(), u.GetName(), metav1.DeleteOptions{}) })
			next := of(map[string]any{"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}, map[string]any{"name": "expression-2", "expression": "object.metadata.namespace == 'staging'"})
			next.SetName(u.GetName())
			next.SetResourceVersion(u.GetResourceVersion())
			u, err = api.Update(t.ctx, next, metav1.UpdateOptions{})
			t.ok(err)
			hooks, _, _ := unstructured.NestedSlice(u.Object, "webhooks")
			t.want(len(hooks[0].(map[string]any)["matchConditions"].([]any)) == 2, "%v", hooks)
			_, err = api.Create(t.ctx, of(map[string]any{"name": "invalid", "expression": "... [] bad expression"}), metav1.CreateOptions{})
			t.refused(err, apierrors.IsInvalid, "compilation failed")
		})
	}
}

func TestPolicies(t *testing.T) {
	policy := func(t *T, spec map[string]any) {
		t.Helper()
		spec["failurePolicy"] = "Fail"
		spec["matchConstraints"] = map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": t.ns}},
			"resourceRules": []any{object(`{operations: [CREATE, UPDATE], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}`).Object}}
		n := name("policy")
		for kind, o := range map[string]map[string]any{"ValidatingAdmissionPolicy": spec, "ValidatingAdmissionPolicyBinding": {"policyName": n, "validationActions": []any{"Deny"}}} {
			api := t.d.Resource(gvr("admissionregistration.k8s.io", "v1", map[string]string{"ValidatingAdmissionPolicy": "validatingadmissionpolicies", "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings"}[kind]))
			_, err := api.Create(t.ctx, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": n}, "spec": o}}, metav1.CreateOptions{})
			t.ok(err)
			t.Cleanup(func() { _ = api.Delete(t.Context(), n, metav1.DeleteOptions{}) })
		}
	}
	create := func(t *T, replicas int32) error {
		_, err := t.c.AppsV1().Deployments(t.ns).Create(t.ctx, deployment(name("d"), replicas), metav1.CreateOptions{})
		return err
	}
	for what, spec := range map[string]map[string]any{
		"should validate against a Deployment": {"validations": []any{map[string]any{"expression": "object.spec.replicas > 1", "messageExpression": "'wants replicas > 1, got ' + string(object.spec.replicas)"}}},
		"should allow expressions to refer variables.": {"variables": []any{map[string]any{"name": "replicas", "expression": "object.spec.replicas"}, map[string]any{"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"}},
			"validations": []any{map[string]any{"expression": "variables.replicas > 1"}, map[string]any{"expression": "variables.oddReplicas == false"}}},
	} {
		conform(t, "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin] "+what, func(t *T) {
			policy(t, spec)
			t.controlled("policies of admission", func() bool { return create(t, 1) != nil })
			t.refused(create(t, 1), apierrors.IsInvalid, "denied request")
			t.ok(create(t, 2))
		})
	}
}
