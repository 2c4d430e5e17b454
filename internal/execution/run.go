package execution

import (
	"context"
	"encoding/json"
	"time"
)

// Prompt is a request for an agent's run.
type Prompt struct {
	Type      string // selects the agent
	UserID    string
	SessionID string // may be empty
	RequestID string
	Message   string
	Options   json.RawMessage // an object passed to the agent; may be nil
}

// Event is a part of a run's output for the client.
type Event struct {
	Name string // started, delta, completed or error; empty for a heartbeat, which has no data
	Data any    // sent as JSON
}

// Run is a run ready to begin.
type Run interface {
	// Stream runs the agent to its end and emits its events: started, deltas, and completed or error, with heartbeats
	// between them. The outcome is recorded before the last event. If emit fails the client is gone: the agent is stopped,
	// which is recorded.
	Stream(ctx context.Context, emit func(Event) error)
}

// CostQuery is a query of costs.
type CostQuery struct {
	Days     int    // up to and including today
	TimeZone string // an IANA name; days begin at its midnight
	GroupBy  GroupBy
	Limit    int      // maximum number of groups, except by day
	UserIDs  []string // if not empty, only the spend of these, by day or model
}

// Position is a position in a list of executions, newest first: that of the last one listed. The zero value is before the
// first.
type Position struct {
	CreatedAt int64 // microseconds since 1970
	UserID    string
	ID        string
}

// PositionOf returns the position of an execution.
func PositionOf(e Execution) Position {
	return Position{CreatedAt: e.CreatedAt.UnixMicro(), UserID: e.UserID, ID: e.ID}
}

// Erased counts a user's deleted rows.
type Erased struct {
	Executions int64
	Rollups    int64
}

// The kinds of distinct names in figures.
const (
	AgentName = "agent"
	ModelName = "model"
)

// Name is a distinct name in figures. Names beyond the limit are counted as Other.
type Name struct {
	Kind  string // AgentName or ModelName
	Name  string
	Since time.Time // when it was registered
}
