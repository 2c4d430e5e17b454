// Package tree locates the source tree for tests. Only tests import it.
package tree

import (
	"path/filepath"
	"runtime"
)

// Root returns the tree's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}
