package server

import (
	"flag"
	"os"
	"testing"
	_ "time/tzdata" // tests use time zones, which not every machine has

	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// TestMain starts no database for fuzzing, which runs many processes of this program that do not need one.
func TestMain(m *testing.M) {
	flag.Parse()
	if fuzz := flag.Lookup("test.fuzz"); fuzz != nil && fuzz.Value.String() != "" {
		os.Exit(m.Run())
	}
	os.Exit(postgrestest.Main(m))
}
