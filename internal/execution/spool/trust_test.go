package spool_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution/spool"
)

// In a folder such as /tmp another user may have created the spool's folder first.
func TestDirectoryOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	const nobody = 65534
	for name, test := range map[string]struct {
		mode    os.FileMode // of the parent folder
		make    func(dir string) error
		below   string
		refused bool
	}{
		"a folder":                 {mode: 0o777 | os.ModeSticky, make: mkdir, refused: true},
		"a folder around it":       {mode: 0o777 | os.ModeSticky, make: mkdir, below: "deeper/still", refused: true},
		"a link":                   {mode: 0o777 | os.ModeSticky, make: func(dir string) error { return os.Symlink(t.TempDir(), dir) }, refused: true},
		"where only its group may": {mode: 0o775, make: mkdir}, // as a volume created for the server
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			around := t.TempDir()
			if err := os.Chmod(around, test.mode); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(around, "spool")
			if err := test.make(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(dir, nobody, nobody); err != nil {
				t.Fatal(err)
			}
			s, err := spool.Open(spool.Options{Dir: filepath.Join(dir, test.below), Log: zap.NewNop(), Now: time.Now})
			if refused := err != nil && strings.Contains(err.Error(), "another user's"); refused != test.refused || err != nil && !refused {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				_ = s.Close()
			}
		})
	}
}

func mkdir(dir string) error { return os.Mkdir(dir, 0o755) }
