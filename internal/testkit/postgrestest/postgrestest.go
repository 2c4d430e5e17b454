// Package postgrestest gives tests databases of their own on a real PostgreSQL. Only tests import it.
package postgrestest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/watchbill/watchbill/internal/dev/pgserver"
)

const (
	// sharedServer is the user's word for a server to test on.
	sharedServer = "DATABASE_URL"

	// ownServer is where Main leaves the URL of the server that it started. It is not sharedServer, lest the code under
	// test takes it for configuration.
	ownServer = "WATCHBILL_TEST_DATABASE_URL"

	startTimeout = 20 * time.Minute // the programs may have to be downloaded first
	stopTimeout  = 30 * time.Second
)

// Main runs a package's tests with a server at hand: the one at DATABASE_URL, else an ephemeral one that ends with
// them. When the tests pass it looks for goroutines that they left, but for those that the options tell it to ignore.
// It returns the code to exit with:
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
func Main(m *testing.M, ignore ...goleak.Option) int {
	code, err := runWithServer(m)
	if err == nil && code == 0 {
		err = goleak.Find(ignore...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "postgrestest:", err) //nolint:forbidigo // a TestMain has no t to tell
		return max(code, 1)
	}
	return code
}

func runWithServer(m *testing.M) (code int, err error) {
	if os.Getenv(sharedServer) != "" {
		return m.Run(), nil
	}
	startCtx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := pgserver.Start(startCtx, pgserver.Options{Ephemeral: true})
	if err != nil {
		return 1, err
	}
	if err = os.Setenv(ownServer, server.URL()); err == nil {
		code = m.Run()
	}
	stopCtx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if stopErr := server.Stop(stopCtx); err == nil {
		err = stopErr
	}
	return code, err
}

// NewDatabase makes a database with the current schema and nothing in it, and returns its URL; the role owns it and is no
// superuser. The database is dropped when the test ends, whoever is still connected. Parallel tests, packages and
// processes may share one server.
func NewDatabase(t testing.TB) string {
	t.Helper()
	server := os.Getenv(sharedServer)
	if server == "" {
		server = os.Getenv(ownServer)
	}
	if server == "" {
		t.Fatal("no PostgreSQL to test on: call postgrestest.Main in TestMain, or set DATABASE_URL")
	}
	migrated, err := migratedTemplate()
	if err != nil {
		t.Fatal(err)
	}
	created, err := clone(t.Context(), server, migrated)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := created.drop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return created.url
}
