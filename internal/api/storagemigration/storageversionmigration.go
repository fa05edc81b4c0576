package storagemigration

import (
	storagemigrationv1 "k8s.io/api/storagemigration/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// StorageVersionMigration is all there is about StorageVersionMigration objects on the server.
var StorageVersionMigration = api.Kind[storagemigrationv1.StorageVersionMigration]{
	Version: storagemigrationv1.SchemeGroupVersion, Resource: "storageversionmigrations",
	List:     &storagemigrationv1.StorageVersionMigrationList{},
	Versions: migrationVersions,
	Status: api.StatusOf(func(o *storagemigrationv1.StorageVersionMigration) *storagemigrationv1.StorageVersionMigrationStatus {
		return &o.Status
	}),
}
