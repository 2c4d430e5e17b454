package fleet

import "time"

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	AgentEnrolled     EventKind = "agent_enrolled"
	AgentDeleted      EventKind = "agent_deleted"
	DeploymentCreated EventKind = "deployment_created"
	DeploymentEnded   EventKind = "deployment_ended"
	AttemptFailed     EventKind = "attempt_failed"
	ReportCreated     EventKind = "report_created"
	UserErased        EventKind = "user_erased"
	NameRegistered    EventKind = "name_registered"
	ReplicaStarted    EventKind = "replica_started"
	ReplicaStopped    EventKind = "replica_stopped"
)

// EventKinds returns all kinds.
func EventKinds() []EventKind {
	return []EventKind{
		AgentEnrolled, AgentDeleted, DeploymentCreated, DeploymentEnded, AttemptFailed, ReportCreated, UserErased, NameRegistered,
		ReplicaStarted, ReplicaStopped,
	}
}

// Event is something that happened, as far as that is stored.
type Event struct {
	Time  time.Time
	Kind  EventKind
	ID    string // of the object; (Time, Kind, ID) is the event's key
	Actor string // the caller that caused it; empty if unknown

	AgentID, DeploymentID, ReportID string
	Name, Status, Message           string
}

// EventQuery asks for a page of events, newest first.
type EventQuery struct {
	Kind     EventKind // empty: all
	AgentID  string    // empty: all
	From, To time.Time // zero: no limit
	After    EventKey
	Limit    int
}

// EventKey is the last event of a page. The zero value is before the first.
type EventKey struct {
	Time time.Time
	Kind EventKind
	ID   string
}
