package health

import "time"

// Replica is what a replica last stored of itself.
type Replica struct {
	Name    string // unique to a start of the program
	Version string
	Started time.Time
	Seen    time.Time
	Stopped time.Time // zero unless it shut down in order
	Lost    bool      // it stored nothing for a while, and did not shut down
	Faults  []string  // why it is degraded

	PoolMax, PoolInUse, PoolWaiting int32 // connections to the database
}
