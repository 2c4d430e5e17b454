package server

import (
	"flag"
	"os"
	"testing"
	_ "time/tzdata" // tests ask for zones, which not every machine has

	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// Fuzzing starts many processes of this program, none of which needs a database.
func TestMain(m *testing.M) {
	flag.Parse()
	if fuzz := flag.Lookup("test.fuzz"); fuzz != nil && fuzz.Value.String() != "" {
		os.Exit(m.Run())
	}
	os.Exit(postgrestest.Main(m))
}
