package storagemigration

import (
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	storagemigrationv1beta1 "k8s.io/api/storagemigration/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var migrationVersions = api.Versions{api.As[storagemigrationv1.StorageVersionMigration, storagemigrationv1beta1.StorageVersionMigration]{
	Version: storagemigrationv1beta1.SchemeGroupVersion, List: &storagemigrationv1beta1.StorageVersionMigrationList{}}}
