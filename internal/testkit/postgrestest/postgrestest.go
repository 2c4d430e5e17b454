// Package postgrestest creates separate databases for tests on a real PostgreSQL. Only tests import it.
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
	// sharedServer is the variable in which the user may set a server for tests.
	sharedServer = "DATABASE_URL"

	// ownServer is the variable in which Main stores the URL of the server that it started. It is not sharedServer,
	// since the code under test may read that.
	ownServer = "WATCHBILL_TEST_DATABASE_URL"

	startTimeout = 20 * time.Minute // includes downloading the programs
	stopTimeout  = 30 * time.Second
)

// Main runs a package's tests with a server: the one at DATABASE_URL, otherwise an ephemeral one that ends with them.
// If the tests pass, it checks for leaked goroutines, except those that the options ignore. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
func Main(m *testing.M, ignore ...goleak.Option) int {
	code, err := runWithServer(m)
	if err == nil && code == 0 {
		err = goleak.Find(ignore...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "postgrestest:", err) //nolint:forbidigo // TestMain has no testing.T
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

// NewDatabase creates an empty database with the current schema and returns its URL. The URL's role owns the database
// and is not a superuser. The database is dropped when the test ends, even if clients are connected. Parallel tests,
// packages and processes may share a server.
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
