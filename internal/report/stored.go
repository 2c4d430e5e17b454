package report

import (
	"errors"
	"time"
)

// ErrNotFound is returned when no report with the id is stored.
var ErrNotFound = errors.New("no such report")

// Parts selects the more expensive facts; the others are always read.
type Parts struct {
	Queries    bool
	Indexes    bool // with PostgreSQL's plans for the three query shapes that must use an index
	Executions bool // Facts.Executions
	Days       bool // Facts.Days and Facts.SpentBefore
	Users      bool // Facts.Users
	Steps      bool // Facts.Steps
}

// Heading is a stored report without its contents.
type Heading struct {
	ID        string
	Namespace string // the Kubernetes namespace of the ServiceAccount that created it; empty: an administrator did
	Name      string
	Window    Coverage
	Verdict   Verdict
	CreatedAt time.Time
}
