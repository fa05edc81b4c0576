package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestApply(t *testing.T) {
	const head = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","labels":{"app":"nginx"}},"spec":{%s"selector":{"matchLabels":{"app":"nginx"}},"template":{"metadata":{"labels":{"app":"nginx"}},"spec":{"containers":[%s]}}}}`
	apply := func(t *T, manager, body string, force bool, sub ...string) error {
		t.Helper()
		_, err := t.c.AppsV1().Deployments(t.ns).Patch(t.ctx, "d", types.ApplyPatchType, []byte(body), metav1.PatchOptions{FieldManager: manager, Force: &force}, sub...)
		return err
	}
	nginx := `{"name":"nginx","image":"nginx:latest","ports":[{"containerPort":80}]}`
	conform(t, "[sig-api-machinery] ServerSideApply should create an applied object if it does not already exist", func(t *T) {
		t.ok(apply(t, "apply_test", fmt.Sprintf(head, "", nginx), false))
		_, err := t.c.AppsV1().Deployments(t.ns).Get(t.ctx, "d", metav1.GetOptions{})
		t.ok(err)
		_, err = t.c.AppsV1().Deployments(t.ns).Patch(t.ctx, "d", types.ApplyPatchType, []byte(fmt.Sprintf(head, "", nginx)), metav1.PatchOptions{})
		t.refused(err, func(err error) bool { return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) }, "fieldManager")
	})
	conform(t, "[sig-api-machinery] ServerSideApply should work for subresources", func(t *T) {
		_, err := t.c.CoreV1().Pods(t.ns).Patch(t.ctx, "p", types.ApplyPatchType, []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"a"}]}}`), metav1.PatchOptions{FieldManager: "apply_test"})
		t.ok(err)
		p, err := t.c.CoreV1().Pods(t.ns).Patch(t.ctx, "p", types.ApplyPatchType, []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"status":{"conditions":[{"type":"MyStatus","status":"True"}]}}`), metav1.PatchOptions{FieldManager: "apply_test2"}, "status")
		t.ok(err)
		t.want(slices.ContainsFunc(p.ManagedFields, func(m metav1.ManagedFieldsEntry) bool {
			return m.Manager == "apply_test2" && m.Subresource == "status" && m.Operation == metav1.ManagedFieldsOperationApply
		}), "%+v", p.ManagedFields)
	})
	conform(t, "[sig-api-machinery] ServerSideApply should remove a field if it is owned but removed in the apply request", func(t *T) {
		t.ok(apply(t, "apply_test", fmt.Sprintf(head, `"replicas":3,`, nginx), false))
		t.ok(apply(t, "apply_test", fmt.Sprintf(head, "", nginx), false))
		d, err := t.c.AppsV1().Deployments(t.ns).Get(t.ctx, "d", metav1.GetOptions{})
		t.ok(err)
		t.want(*d.Spec.Replicas == 1, "%d replicas", *d.Spec.Replicas)
	})
	conform(t, "[sig-api-machinery] ServerSideApply should not remove a field if an owner unsets the field but other managers still have ownership of the field", func(t *T) {
		t.ok(apply(t, "one", fmt.Sprintf(head, `"replicas":3,`, nginx), false))
		t.ok(apply(t, "two", fmt.Sprintf(head, `"replicas":3,`, nginx), false))
		t.ok(apply(t, "one", fmt.Sprintf(head, "", nginx), false))
		d, err := t.c.AppsV1().Deployments(t.ns).Get(t.ctx, "d", metav1.GetOptions{})
		t.ok(err)
		t.want(*d.Spec.Replicas == 3, "%d replicas", *d.Spec.Replicas)
	})
	conform(t, "[sig-api-machinery] ServerSideApply should ignore conflict errors if force apply is used", func(t *T) {
		t.ok(apply(t, "apply_test", fmt.Sprintf(head, `"replicas":3,`, nginx), false))
		_, err := t.c.AppsV1().Deployments(t.ns).Patch(t.ctx, "d", types.MergePatchType, []byte(`{"spec":{"replicas":5}}`), metav1.PatchOptions{FieldManager: "updater"})
		t.ok(err)
		err = apply(t, "apply_test", fmt.Sprintf(head, `"replicas":3,`, nginx), false)
		t.refused(err, apierrors.IsConflict, `conflict with "updater"`, ".spec.replicas")
		t.ok(apply(t, "apply_test", fmt.Sprintf(head, `"replicas":3,`, nginx), true))
	})
	conform(t, "[sig-api-machinery] ServerSideApply should work for CRDs", func(t *T) {
		k := define(t, "Applied", "v1", map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": map[string]any{"spec": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": map[string]any{
			"ports": map[string]any{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"containerPort", "protocol"}, "items": map[string]any{"type": "object", "required": []any{"containerPort", "protocol"}, "properties": map[string]any{
				"containerPort": map[string]any{"type": "integer", "format": "int32"}, "protocol": map[string]any{"type": "string"}, "name": map[string]any{"type": "string"}}}}}}}})
		api := t.d.Resource(k.GroupVersionResource).Namespace(t.ns)
		body := func(ports string) []byte {
			return []byte("apiVersion: " + k.GroupVersion().String() + "\nkind: Applied\nmetadata: {name: a, finalizers: [e2e.example.com/a]}\nspec: {cronSpec: '* * * * */5', replicas: 1, ports: [" + ports + "]}")
		}
		_, err := api.Patch(t.ctx, "a", types.ApplyPatchType, body("{name: port-x, containerPort: 80, protocol: TCP}"), metav1.PatchOptions{FieldManager: "apply_test"})
		t.ok(err)
		t.Cleanup(func() {
			_, _ = api.Patch(t.Context(), "a", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		})
		_, err = api.Patch(t.ctx, "a", types.ApplyPatchType, body("{name: port-y, containerPort: 80, protocol: TCP}"), metav1.PatchOptions{FieldManager: "other"})
		t.refused(err, apierrors.IsConflict, `.spec.ports[containerPort=80,protocol="TCP"].name`)
		u, err := api.Patch(t.ctx, "a", types.ApplyPatchType, body("{name: port-z, containerPort: 8080, protocol: TCP}"), metav1.PatchOptions{FieldManager: "other"})
		t.ok(err)
		ports := u.Object["spec"].(map[string]any)["ports"].([]any)
		t.want(len(ports) == 2, "%v", ports)
		_, err = api.Patch(t.ctx, "a", types.MergePatchType, []byte(`{"metadata":{"managedFields":[{}]}}`), metav1.PatchOptions{})
		t.ok(err)
		u, err = api.Get(t.ctx, "a", metav1.GetOptions{})
		t.ok(err)
		t.want(len(u.GetManagedFields()) == 0, "%v", u.GetManagedFields())
	})
	conform(t, "[sig-api-machinery] ServerSideApply should give up ownership of a field if forced applied by a controller", func(t *T) {
		t.ok(apply(t, "apply_test", fmt.Sprintf(head, `"replicas":3,`, nginx), false))
		t.ok(apply(t, "scaler", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":5}}`, true))
		d, err := t.c.AppsV1().Deployments(t.ns).Get(t.ctx, "d", metav1.GetOptions{})
		t.ok(err)
		for _, m := range d.ManagedFields {
			if m.Manager == "apply_test" {
				t.want(!strings.Contains(string(m.FieldsV1.Raw), "f:replicas"), "%s", m.FieldsV1.Raw)
			}
		}
		t.ok(apply(t, "apply_test", fmt.Sprintf(head, "", nginx), false))
		d, err = t.c.AppsV1().Deployments(t.ns).Get(t.ctx, "d", metav1.GetOptions{})
		t.ok(err)
		t.want(*d.Spec.Replicas == 5, "%d replicas", *d.Spec.Replicas)
	})
	conform(t, "[sig-api-machinery] Generated clientset should create v1 cronJobs and pods, set deletionTimestamp and deletionGracePeriodSeconds", func(t *T) {
		p := pod("graceful", t.ns)
		p.Spec.TerminationGracePeriodSeconds, p.Finalizers = ptr(int64(30)), []string{"e2e.example.com/keep"}
		p.Spec.NodeName = "none"
		p, err := t.c.CoreV1().Pods(t.ns).Create(t.ctx, p, metav1.CreateOptions{})
		t.ok(err)
		t.want(p.Status.Phase == corev1.PodPending, "%s", p.Status.Phase)
		t.ok(t.c.CoreV1().Pods(t.ns).Delete(t.ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(31))}))
		p, err = t.c.CoreV1().Pods(t.ns).Get(t.ctx, p.Name, metav1.GetOptions{})
		t.ok(err)
		t.want(p.DeletionTimestamp != nil && *p.DeletionGracePeriodSeconds == 31, "%+v", p.ObjectMeta)
		_, err = t.c.CoreV1().Pods(t.ns).Patch(t.ctx, p.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		t.ok(err)
	})
}
