package kubetest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests beside an API server that ends with them, and leaves it where shared points. When the tests
// pass it looks for goroutines that they left, but for those that the options tell it to ignore. It returns the code to exit with:
//
//	func TestMain(m *testing.M) { os.Exit(kubetest.Main(m, &cluster, kubetest.Options{…})) }
func Main(m *testing.M, shared **Cluster, opts Options, ignore ...goleak.Option) int {
	code, err := run(m, shared, opts)
	if err == nil && code == 0 {
		err = goleak.Find(ignore...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubetest:", err) //nolint:forbidigo // a TestMain has no t to tell
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
