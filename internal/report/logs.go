package report

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// Limits of an Analyser.
const (
	MaxRoutes = 256 // methods and routes
	MaxNames  = 256 // queries, and SQLSTATEs
	// Other is the name of everything beyond these limits.
	Other = "other"
)

// Logs is the figures of log files. A sampled line counts as often as its field says.
type Logs struct {
	Files         int64 `json:"files"`
	FilesCutShort int64 `json:"files_cut_short"` // not readable to their end
	Lines         int64 `json:"lines"`
	// UnreadableLines are not JSON, too long or not as Watchbill writes them; OutsideWindow are outside the window; the
	// rest are requests, queries and OtherLines.
	UnreadableLines int64      `json:"unreadable_lines"`
	OutsideWindow   int64      `json:"outside_window"`
	OtherLines      int64      `json:"other_lines"`
	First           *time.Time `json:"first"` // the oldest line in the window; null if there is none
	Last            *time.Time `json:"last"`
	// Levels counts the lines in the window at level warn and above.
	Levels map[string]int64 `json:"levels"`

	Requests Traffic       `json:"requests"`
	ByStatus map[int]int64 `json:"by_status"`
	Routes   []Endpoint    `json:"routes"` // by route and method; rps is null: the time that logs cover is unknown
	Queries  LogQueries    `json:"queries"`
}

// LogQueries is the figures of the query log.
type LogQueries struct {
	Executed   int64            `json:"executed"`
	Errors     int64            `json:"errors"`
	Slow       int64            `json:"slow"`
	Latency    Latency          `json:"latency_ms"`
	BySQLState map[string]int64 `json:"by_sqlstate"` // of errors; without an SQLSTATE: "unknown"
	ByName     []LogQuery       `json:"by_name"`     // most slow queries first
}

// LogQuery is the figures of one named query in the query log.
type LogQuery struct {
	Query
	Slow int64 `json:"slow"`
}

// logFile matches the names of Watchbill's two log files, also rotated by Watchbill, lumberjack or logrotate, and
// compressed.
var logFile = regexp.MustCompile(
	`^(master-backend|database-queries)(-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3})?\.log(\.\d{1,9})?(\.gz)?$`)

// IsLogFile reports whether an Analyser should read a file with this name, without its directory.
func IsLogFile(name string) bool { return logFile.MatchString(name) }

// Analyser reads Watchbill's log files line by line, in constant memory. Call Read for each file, then Logs. It is not
// safe for concurrent use.
type Analyser struct {
	window  Window
	logs    Logs // all but what Logs computes from the fields below
	routes  map[route]*EndpointFacts
	queries map[string]*queryTally
}

type route struct{ method, pattern string }

type queryTally struct {
	executed, errors, slow int64
	latency                sketch.Sketch
}

// NewAnalyser returns an Analyser of the lines logged in a window; the zero Window means all time.
func NewAnalyser(w Window) *Analyser {
	return &Analyser{
		window: w,
		logs: Logs{
			Levels:  map[string]int64{},
			Queries: LogQueries{BySQLState: map[string]int64{}},
		},
		routes:  map[route]*EndpointFacts{},
		queries: map[string]*queryTally{},
	}
}

// Logs returns the figures of what was read so far.
func (a *Analyser) Logs() *Logs {
	logs := a.logs
	logs.Levels = maps.Clone(a.logs.Levels)

	var facts Facts
	var all tally
	for _, e := range a.routes {
		facts.Endpoints = append(facts.Endpoints, *e)
		all.add(*e)
	}
	logs.Requests = all.traffic(0)
	logs.ByStatus = map[int]int64{}
	maps.Copy(logs.ByStatus, all.byStatus)
	logs.Routes = Endpoints(facts)

	logs.Queries.BySQLState = maps.Clone(a.logs.Queries.BySQLState)
	logs.Queries.ByName = make([]LogQuery, 0, len(a.queries))
	var latencies sketch.Sketch
	for name, q := range a.queries {
		logs.Queries.Executed += q.executed
		logs.Queries.Errors += q.errors
		logs.Queries.Slow += q.slow
		latencies.Merge(&q.latency)
		logs.Queries.ByName = append(logs.Queries.ByName, LogQuery{
			Query: Query{name, q.executed, q.errors, latency(&q.latency)},
			Slow:  q.slow,
		})
	}
	logs.Queries.Latency = latency(&latencies)
	slices.SortFunc(logs.Queries.ByName, func(a, b LogQuery) int {
		return cmp.Or(cmp.Compare(b.Slow, a.Slow), descending(a.Latency.P99, b.Latency.P99), cmp.Compare(a.Name, b.Name))
	})
	return &logs
}

// endpoint returns the tally of a route, or of all others beyond MaxRoutes.
func (a *Analyser) endpoint(method, pattern string) *EndpointFacts {
	key := route{method, pattern}
	if _, known := a.routes[key]; !known && len(a.routes) >= MaxRoutes {
		key = route{"", Other}
	}
	if a.routes[key] == nil {
		a.routes[key] = &EndpointFacts{
			Method: key.method, Route: key.pattern, ByStatus: map[int]int64{}, Latency: &sketch.Sketch{},
		}
	}
	return a.routes[key]
}

// query returns the tally of a query, or of all others beyond MaxNames.
func (a *Analyser) query(name string) *queryTally {
	if _, known := a.queries[name]; !known && len(a.queries) >= MaxNames {
		name = Other
	}
	if a.queries[name] == nil {
		a.queries[name] = &queryTally{}
	}
	return a.queries[name]
}
