package metrics

import (
	"github.com/watchbill/watchbill/internal/observe"
)

// others is the number of audiences other than Known.
const others = int(observe.Known)

// The rollups' routes for responses to audiences other than Known, of all routes together, and the method with which
// they are written. They differ from all patterns, which begin with a slash.
const (
	UnauthenticatedRoute = "unauthenticated"
	ProbeRoute           = "probe"
	AnyMethod            = "*"
)

// The rollups' routes for held polls: their number, and the intervals that they were held for, in thousandths. Neither
// has a status.
const (
	HeldPollsRoute     = "held polls"
	HeldIntervalsRoute = "held intervals"
)
