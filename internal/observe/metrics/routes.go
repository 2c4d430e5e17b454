package metrics

import (
	"github.com/watchbill/watchbill/internal/observe"
)

// others is how many audiences are counted apart.
const others = int(observe.Known)

// The rollups' routes of answers to others than known callers, all routes together, and the method that they are written
// under. No pattern of ours is like these: patterns begin with a slash.
const (
	UnauthenticatedRoute = "unauthenticated"
	ProbeRoute           = "probe"
	AnyMethod            = "*"
)

// The rollups' routes of polls that were held: how many, and how many intervals they were held for, in thousandths. Neither
// has a status.
const (
	HeldPollsRoute     = "held polls"
	HeldIntervalsRoute = "held intervals"
)
