package mem_test

import (
	"testing"

	"github.com/skiff-k8s/skiff/internal/store"
	"github.com/skiff-k8s/skiff/internal/store/mem"
	"github.com/skiff-k8s/skiff/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return mem.New() })
}
