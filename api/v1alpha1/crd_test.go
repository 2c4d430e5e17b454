package v1alpha1_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/kubetest"
)

func TestCRD(t *testing.T) {
	c, err := kubetest.Start(kubetest.Options{CRDs: []string{"config/crd/bases"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}
