package execution

import (
	"context"
	"encoding/json"
	"time"
)

// Prompt asks for an agent's run.
type Prompt struct {
	Type      string // what kind of answer is wanted; it picks the agent
	UserID    string
	SessionID string // may be empty
	RequestID string
	Message   string
	Options   json.RawMessage // an object, handed on to the agent; nil: none
}

// Event is a part of a run's answer, on its way to whoever asked.
type Event struct {
	Name string // started, delta, completed or error; empty: a heartbeat, which has no data
	Data any    // is sent as JSON
}

// Run is a run that may begin.
type Run interface {
	// Stream runs the agent to its end and hands its events on: started, deltas, and completed or error, with heartbeats
	// between them. The outcome is recorded before the last event. An error of emit means that whoever asked is gone: the
	// agent is stopped, and that is recorded.
	Stream(ctx context.Context, emit func(Event) error)
}

// CostQuery asks what was spent.
type CostQuery struct {
	Days     int    // up to and including today
	TimeZone string // an IANA name; days begin at its midnight
	GroupBy  GroupBy
	Limit    int // groups at the most, except by day
}

// Position is a place in a list of executions that begins with the newest: the last one that was seen. The zero value is
// before the first.
type Position struct {
	CreatedAt int64 // microseconds since 1970
	UserID    string
	ID        string
}

// PositionOf is where an execution stands.
func PositionOf(e Execution) Position {
	return Position{CreatedAt: e.CreatedAt.UnixMicro(), UserID: e.UserID, ID: e.ID}
}

// Erased says how much of a user was deleted.
type Erased struct {
	Executions int64
	Rollups    int64
}

// The kinds of names that figures tell apart.
const (
	AgentName = "agent"
	ModelName = "model"
)

// Name is one that figures tell apart. All that have no place are Other.
type Name struct {
	Kind  string // AgentName or ModelName
	Name  string
	Since time.Time // when it got its place
}
