package mem_test

import (
	"testing"

	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/store/mem"
	"github.com/brine-deploy/brine/pkg/store/storetest"
)

func TestMemKeepsTheContract(t *testing.T) {
	storetest.Suite(t, func(*testing.T) store.Driver { return &mem.Mem{} })
}
