package report

import (
	"errors"
	"time"
)

// ErrNotFound says that no report with the id is stored.
var ErrNotFound = errors.New("no such report")

// Parts says which of the costlier facts are wanted; the others are always read.
type Parts struct {
	Queries    bool
	Indexes    bool // with the plans that PostgreSQL chooses for the brief's three query shapes
	Executions bool // Facts.Executions
	Days       bool // Facts.Days and Facts.SpentBefore
	Users      bool // Facts.Users
}

// Heading is a stored report without its contents.
type Heading struct {
	ID        string
	Namespace string // of Kubernetes, where a ServiceAccount made it; empty: an administrator did
	Name      string
	Window    Coverage
	Verdict   Verdict
	CreatedAt time.Time
}
