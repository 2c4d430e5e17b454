// Package alerts reads which alerts are active from a Prometheus or an Alertmanager, for people.
package alerts

import (
	"cmp"
	"slices"
	"time"
)

// Kind is the kind of server that alerts are read from.
type Kind string

// The kinds of servers.
const (
	Prometheus   Kind = "prometheus"   // or what serves its API, such as Thanos, Mimir and vmalert
	Alertmanager Kind = "alertmanager" // or what serves its API
)

// State is the state of an alert.
type State string

// The states of an alert.
const (
	Firing     State = "firing"
	Pending    State = "pending"    // its condition does not hold for long enough yet
	Suppressed State = "suppressed" // silenced or inhibited
)

// Alert is an active alert. Its texts are others' and may be of any content, within the limits of this package.
type Alert struct {
	Name        string
	Severity    string
	State       State
	Since       time.Time
	Summary     string
	Description string
	RunbookURL  string // empty unless its scheme is http or https
	SourceURL   string // of the rule's graph; likewise
	Labels      map[string]string
}

// Snapshot are the alerts of a moment.
type Snapshot struct {
	Configured bool // reports whether there is a server to read from
	Kind       Kind // empty until the server has responded
	// Taken is when the alerts were read, or could not be.
	Taken time.Time
	// Fault is why the alerts are not known, or empty.
	Fault  string
	Alerts []Alert // by urgency
	Total  int     // including those beyond MaxAlerts
	Firing int     // of Total
}

// severities orders the usual severities by urgency. Others come after them, and none last.
var severities = []string{"critical", "page", "error", "high", "warning", "medium", "info", "low"}

func urgency(severity string) int {
	switch i := slices.Index(severities, severity); {
	case i >= 0:
		return i
	case severity == "none":
		return len(severities) + 1
	}
	return len(severities)
}

func stateOrder(s State) int {
	return slices.Index([]State{Firing, Pending, Suppressed}, s)
}

// byUrgency orders alerts: firing ones first, then by severity, the newest first.
func byUrgency(a, b Alert) int {
	return cmp.Or(
		cmp.Compare(stateOrder(a.State), stateOrder(b.State)),
		cmp.Compare(urgency(a.Severity), urgency(b.Severity)),
		b.Since.Compare(a.Since),
		cmp.Compare(a.Name, b.Name),
	)
}
