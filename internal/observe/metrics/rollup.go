package metrics

import (
	"context"
	"time"
)

// Store stores rollups. It is implemented by internal/store/postgres.
type Store interface {
	// WriteRollups replaces the replica's earlier rows for these minutes, which are ascending. If it fails it may still
	// have done so. It returns soon after ctx is done.
	WriteRollups(ctx context.Context, rollups Rollups) error
}

// Rollups are minutes as counted by one replica. A replica's name is unique for each start of the program, so no other
// writes its rows for a minute. Writing them again is safe, whether they have grown or the outcome of a write is
// unknown.
type Rollups struct {
	Replica string
	Minutes []MinuteRollup
}

// MinuteRollup has a replica's counts of one minute, up to now if the minute is not over.
type MinuteRollup struct {
	Minute   time.Time       // its start, in UTC
	Covered  time.Duration   // how long the replica was up during it
	Requests []RequestRollup // of routes with requests, ordered by Route and Method
	Queries  []QueryRollup   // of queries that ran, ordered by Name
	Polls    PollRollup
	Pool     PoolRollup
}

// RequestRollup has the counts of a route's responses to known callers. For UnauthenticatedRoute and ProbeRoute it has
// those of all routes to others, without latencies and bytes.
type RequestRollup struct {
	Method, Route     string
	ByStatus          map[int]int64 // 0 is any code that HTTP does not define
	Sketch            []byte        // of their latencies, for sketch.Decode
	BytesIn, BytesOut int64
}

// QueryRollup has the counts of a query's runs.
type QueryRollup struct {
	Name          string
	Count, Errors int64
	Sketch        []byte // of their durations, for sketch.Decode
}

// PollRollup has the counts of known callers' polls for pending deployments, by outcome.
type PollRollup struct {
	Delivered, Empty, NotModified int64
	Failed                        int64 // unavailable or unauthorized
}

// PoolRollup has the use of the database connection pool for known callers and for the service itself. The mean number
// in use is InUseSum / Samples.
type PoolRollup struct {
	Max                     int32 // connections, at the last sample
	InUseSum, Samples       int64
	Peak                    int32 // maximum in use at a sample
	Acquires, EmptyAcquires int64 // all, and those that had to wait for a connection
	WaitSeconds             float64
}
