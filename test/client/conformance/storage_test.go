package conformance

import (
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestStorage(t *testing.T) {
	conform(t, "[sig-storage] StorageClass StorageClass API availability", func(t *T) {
		api := t.c.StorageV1().StorageClasses()
		c, err := api.Create(t.ctx, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name("class")}, Provisioner: "e2e-fake-provisioner", Parameters: map[string]string{"foo": "bar"}}, metav1.CreateOptions{})
		t.ok(err)
		t.Cleanup(func() { _ = api.Delete(t.Context(), c.Name, metav1.DeleteOptions{}) })
		t.want(*c.ReclaimPolicy == "Delete" && *c.VolumeBindingMode == storagev1.VolumeBindingImmediate, "%+v", c)
		next := change(t, api, c.Name, func(c *storagev1.StorageClass) { c.MountOptions = []string{"ro", "soft"} })
		t.want(len(next.MountOptions) == 2, "%v", next.MountOptions)
		for _, patch := range []string{`{"parameters":{"foo":"baz"}}`, `{"provisioner":"other"}`, `{"reclaimPolicy":"Retain"}`, `{"volumeBindingMode":"WaitForFirstConsumer"}`} {
			_, err = api.Patch(t.ctx, c.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
			t.refused(err, func(err error) bool { return apierrors.IsInvalid(err) })
		}
	})
	conform(t, "[sig-storage] VolumeAttributesClass VolumeAttributesClass API availability", func(t *T) {
		api := t.c.StorageV1().VolumeAttributesClasses()
		c, err := api.Create(t.ctx, &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: name("attributes")}, DriverName: "e2e-fake-csi-driver", Parameters: map[string]string{"foo": "bar"}}, metav1.CreateOptions{})
		t.ok(err)
		t.Cleanup(func() { _ = api.Delete(t.Context(), c.Name, metav1.DeleteOptions{}) })
		change(t, api, c.Name, func(c *storagev1.VolumeAttributesClass) { metav1.SetMetaDataLabel(&c.ObjectMeta, "foo", "bar") })
		_, err = api.Patch(t.ctx, c.Name, types.StrategicMergePatchType, []byte(`{"parameters":{"foo":"baz"}}`), metav1.PatchOptions{})
		t.refused(err, apierrors.IsInvalid)
	})
}
