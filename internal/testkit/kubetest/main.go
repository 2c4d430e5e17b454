package kubetest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests with an API server, which it stores in *shared and stops afterwards. If the tests pass,
// it checks for leaked goroutines, except those that the options ignore. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(kubetest.Main(m, &cluster, kubetest.Options{…})) }
func Main(m *testing.M, shared **Cluster, opts Options, ignore ...goleak.Option) int {
	code, err := run(m, shared, opts)
	if err == nil && code == 0 {
		err = goleak.Find(ignore...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubetest:", err) //nolint:forbidigo // TestMain has no testing.T
		return max(code, 1)
	}
	return code
}

func run(m *testing.M, shared **Cluster, opts Options) (int, error) {
	cluster, err := Start(opts)
	if err != nil {
		return 1, err
	}
	*shared = cluster
	code := m.Run()
	return code, cluster.Stop()
}
