package storagemigration

import (
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// StorageVersionMigration is all there is about StorageVersionMigration objects on the server.
var StorageVersionMigration = api.Kind[storagemigrationv1.StorageVersionMigration]{
	Version: storagemigrationv1.SchemeGroupVersion, Resource: "storageversionmigrations",
	List:     &storagemigrationv1.StorageVersionMigrationList{},
	Versions: migrationVersions,
	Status: api.StatusOf(func(o *storagemigrationv1.StorageVersionMigration) *storagemigrationv1.StorageVersionMigrationStatus {
		return &o.Status
	}).Only(),
	Validate:       validateMigration,
	ValidateUpdate: validateMigrationUpdate,
	Columns: api.Columns[storagemigrationv1.StorageVersionMigration]{
		api.NameColumn[storagemigrationv1.StorageVersionMigration](),
		api.Text("Resource", "The resource that is being migrated.", func(o *storagemigrationv1.StorageVersionMigration) any { return o.Spec.Resource.String() }),
	},
}

var resourcePath = field.NewPath("spec", "resource")

func validateMigration(o *storagemigrationv1.StorageVersionMigration) field.ErrorList {
	var errs field.ErrorList
	if o.Spec.Resource.Resource == "" {
		errs = append(errs, field.Required(resourcePath.Child("resource"), "resource is required"))
	}
	if g := o.Spec.Resource.Group; g != "" {
		errs = append(errs, meta.NameError(resourcePath.Child("group"), g, meta.DNSSubdomain)...)
	}
	return errs
}

func validateMigrationUpdate(next, old *storagemigrationv1.StorageVersionMigration) field.ErrorList {
	if next.Spec.Resource != old.Spec.Resource {
		return field.ErrorList{field.Invalid(resourcePath, meta.GoNames(next.Spec.Resource), meta.FieldImmutable)}
	}
	return nil
}
