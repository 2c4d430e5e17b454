package metrics

import (
	"context"
	"time"
)

// Store keeps rollups. internal/store/postgres has one.
type Store interface {
	// WriteRollups replaces what the replica wrote of these minutes before; or fails and may have done so all the same.
	// The minutes ascend. It returns soon after ctx ends.
	WriteRollups(ctx context.Context, rollups Rollups) error
}

// Rollups are whole minutes as one replica saw them. A replica's name is new with every start of the program, so its
// rows for a minute are its alone, and writing them again, later and larger or after an outcome that is not known, is safe.
type Rollups struct {
	Replica string
	Minutes []MinuteRollup
}

// MinuteRollup is all that a replica counted in one minute, up to now if the minute is not over.
type MinuteRollup struct {
	Minute   time.Time       // its beginning, UTC
	Covered  time.Duration   // how long in it the replica was up; at most a minute
	Requests []RequestRollup // of the routes that had any, by Route and Method
	Queries  []QueryRollup   // of the queries that ran, by Name
	Polls    PollRollup
	Pool     PoolRollup
}

// RequestRollup is a route's answers to known callers; or, as UnauthenticatedRoute or ProbeRoute, those of all routes to
// others, without latencies and bytes.
type RequestRollup struct {
	Method, Route     string
	ByStatus          map[int]int64 // 0 is any code that HTTP does not define
	Sketch            []byte        // their latencies: sketch.Decode reads it
	BytesIn, BytesOut int64
}

// QueryRollup is a query's runs.
type QueryRollup struct {
	Name          string
	Count, Errors int64
	Sketch        []byte // their durations: sketch.Decode reads it
}

// PollRollup is known callers' polls for pending deployments by how they ended.
type PollRollup struct {
	Delivered, Empty, NotModified int64
	Failed                        int64 // unavailable or unauthorized
}

// PoolRollup is the database connection pool, as far as it works for known callers and for the service itself. The mean in use is InUseSum / Samples.
type PoolRollup struct {
	Max                     int32 // connections, at the last sample
	InUseSum, Samples       int64
	Peak                    int32 // the most in use at a sample
	Acquires, EmptyAcquires int64 // all, and those that had to wait for a connection
	WaitSeconds             float64
}
