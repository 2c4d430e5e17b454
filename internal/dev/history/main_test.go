package history_test

import (
	"os"
	"testing"

	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
