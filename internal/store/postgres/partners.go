package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

const (
	// scopesFor is how long the known sources of a process are used before they are read again.
	scopesFor = 10 * time.Second
	// newFor is how long a process is new to a replica. The first spans of its scopes may be stored by several replicas
	// concurrently. After newFor, calls of a process with a single source are stored without the key by which similar
	// calls are found.
	newFor = 30 * time.Second
	// maxProcesses is the maximum number of processes remembered, and maxScopes that of the sources of each.
	maxProcesses = 10_000
	maxScopes    = 8
)

// scopes caches the sources of each process: the instrumentation scopes that record calls of a model. Most processes
// have one source, so that no search for a second span of a call is needed.
type scopes struct {
	mu        sync.Mutex
	processes map[int64]processScopes
}

type processScopes struct {
	first, read time.Time
	sources     []int64
}

// stale reports whether the sources should be read again. Those of a process that is new here are read again sooner.
func (p processScopes) stale(now time.Time) bool {
	age := now.Sub(p.read)
	return age < 0 || age >= min(scopesFor, p.read.Sub(p.first)/4)
}

// sourcesOf stores a batch's processes and sources, and returns the known sources of each process.
func (s *scopes) sourcesOf(ctx context.Context, tx pgx.Tx, now time.Time, seen map[int64]map[int64]bool) (map[int64][]int64, error) {
	sources := make(map[int64][]int64, len(seen))
	var processes, unknown, scopes []int64
	s.mu.Lock()
	for process, ofProcess := range seen {
		known := s.processes[process]
		stale := known.stale(now)
		for source := range ofProcess {
			fresh := true
			for _, one := range known.sources {
				fresh = fresh && one != source
			}
			if fresh && len(known.sources) < maxScopes {
				unknown, scopes, stale = append(unknown, process), append(scopes, source), true
			} else if stale {
				unknown, scopes = append(unknown, process), append(scopes, source)
			}
		}
		if stale {
			processes = append(processes, process)
		}
		sources[process] = known.sources
	}
	s.mu.Unlock()
	if len(processes) == 0 {
		return sources, nil
	}
	rows, err := tx.Query(ctx, `-- name: CallScopes :many
WITH noted AS (
	INSERT INTO call_scopes AS known (process, scope) SELECT DISTINCT w.process, w.scope FROM unnest($1::bigint[], $2::bigint[]) AS w (process, scope) ORDER BY 1, 2
	ON CONFLICT (process, scope) DO UPDATE SET seen_at = now() WHERE known.seen_at < now() - interval '5 minutes'
)
SELECT process, scope FROM (
	SELECT w.process, c.scope FROM unnest($3::bigint[]) AS w (process)
	CROSS JOIN LATERAL (SELECT c.scope FROM call_scopes c WHERE c.process = w.process ORDER BY 1 LIMIT $4) AS c
) AS stored
UNION
SELECT w.process, w.scope FROM unnest($1::bigint[], $2::bigint[]) AS w (process, scope)`, unknown, scopes, processes, maxScopes)
	if err != nil {
		return nil, err
	}
	read := make(map[int64][]int64, len(processes))
	var process, source int64
	if _, err := pgx.ForEachRow(rows, []any{&process, &source}, func() error {
		if len(read[process]) < maxScopes {
			read[process] = append(read[process], source)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.processes == nil || len(s.processes)+len(read) > maxProcesses {
		s.processes = make(map[int64]processScopes, len(read))
	}
	for process, all := range read {
		first := now
		if known, is := s.processes[process]; is {
			first = known.first
		}
		s.processes[process] = processScopes{first: first, read: now, sources: all}
		sources[process] = all
	}
	return sources, nil
}

// forgetAlone clears the similar key of calls of processes that have one source and are no longer new.
func (s *scopes) forgetAlone(p *places, sources map[int64][]int64, now time.Time) {
	alone := make(map[int64]bool, len(sources))
	for process, all := range sources {
		alone[process] = len(all) == 1 && !s.isNew(process, now)
	}
	for at := range p.keys {
		if p.keys[at].similar != 0 && alone[p.keys[at].process] {
			p.keys[at].similar = 0
		}
	}
}

// isNew reports whether this replica first saw a process less than newFor ago.
func (s *scopes) isNew(process int64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.processes[process].first) < newFor
}

// findPartners marks the executions of a batch that may be the same call as one stored before.
func (s *Executions) findPartners(ctx context.Context, tx pgx.Tx, f *family, in *intake, p *places) error {
	seen := map[int64]map[int64]bool{} // the batch's sources by process
	calls := 0
	isCall := func(at int) bool { return at >= 0 && at < f.spans && f.nodes[at].Role == execution.RoleCall }
	for _, at := range f.at {
		if !isCall(at) {
			continue
		}
		calls++
		if k := p.keys[at]; k.process != 0 {
			if seen[k.process] == nil {
				seen[k.process] = map[int64]bool{}
			}
			seen[k.process][k.source(trace.Reports(f.nodes[at].Span))] = true
		}
	}
	if calls == 0 {
		return nil
	}
	sources, err := s.scopes.sourcesOf(ctx, tx, s.now(), seen)
	if err != nil {
		return err
	}
	l := lookups{responses: make([]responseLook, 0, calls)}
	s.scopes.forgetAlone(p, sources, s.now())
	for _, i := range in.from {
		at := f.at[i]
		if !isCall(at) {
			continue
		}
		k := p.keys[at]
		l.response(i, f.nodes[at].Span, k)
		others := sources[k.process]
		for _, m := range f.decisions[at].Members {
			if m >= f.spans {
				continue
			}
			l.response(i, f.nodes[m].Span, p.keys[m])
			if in.members == nil {
				in.members = map[int][]spanID{}
			}
			in.members[i] = append(in.members[i], spanID{f.nodes[m].TraceID, f.nodes[m].SpanID})
			covered := p.keys[m].source(trace.Reports(f.nodes[m].Span))
			others = slices.DeleteFunc(slices.Clone(others), func(source int64) bool { return source == covered })
		}
		l.similar(i, f.nodes[at].Span, k, others)
		if k.similar != 0 && s.scopes.isNew(k.process, s.now()) {
			in.early = append(in.early, earlyCall{*f.nodes[at].Span, k, sources[k.process]})
		}
	}
	err = l.find(ctx, tx, func(i int, _ spanID) { in.partner[i] = true })
	in.lookups = l
	return err
}

// recent holds recently committed calls to search for again: calls of processes with several sources, and calls with
// response ids that were committed while other transactions were in progress. Such a transaction may have stored a span
// of the same call, so that neither found the other.
type recent struct {
	mu      sync.Mutex
	calls   []recentCall
	lookups lookups
	early   []earlyCall
	runs    []spanID // to settle again, since another trace reported the usage of a call in them
	once    *recent  // searched for once, when a transaction may still have been in progress
}

// earlyCall is a call of a new process, with the sources known at the time.
type earlyCall struct {
	span    execution.Span
	keys    spanKeys
	sources []int64
}

// recentCall is the span of an execution, and the spans that were merged into it when it was stored.
type recentCall struct {
	spanID
	members []spanID
}

// is reports whether a span is known to be of the call.
func (c *recentCall) is(span spanID) bool {
	return c.spanID == span || slices.Contains(c.members, span)
}

// maxRecent is the maximum number of calls to search for again. Beyond it, two spans of one call that are stored
// concurrently remain two executions.
const maxRecent = 20_000

// remember adds the calls of a committed transaction that should be searched for again.
func (r *recent) remember(in *intake) {
	rows, l := in.rows, &in.lookups
	if !l.unsure {
		l.responses = nil
	}
	if len(l.alike)+len(l.responses)+len(in.early) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls)+len(rows)+len(r.early) > maxRecent {
		return
	}
	r.early = append(r.early, in.early...)
	if len(l.alike)+len(l.responses) == 0 {
		return
	}
	number := make([]int, len(in.partner)) // by execution of the batch: its index in calls, or -1 if it was left out
	for i := range number {
		number[i] = -1
	}
	for i, at := range in.from {
		number[at] = len(r.calls)
		r.calls = append(r.calls, recentCall{spanID{rows[i].TraceID, rows[i].SpanID}, in.members[at]})
	}
	for _, look := range l.alike {
		if look.n = number[look.n]; look.n >= 0 {
			r.lookups.alike = append(r.lookups.alike, look)
		}
	}
	for _, look := range l.responses {
		if look.n = number[look.n]; look.n >= 0 {
			r.lookups.responses = append(r.lookups.responses, look)
		}
	}
}

// take removes and returns the calls. Later appends do not change what was returned.
func (r *recent) take() *recent {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := &recent{
		calls: slices.Clip(r.calls), early: r.early, runs: r.runs, once: r.once,
		lookups: lookups{responses: slices.Clip(r.lookups.responses), alike: slices.Clip(r.lookups.alike)},
	}
	r.calls, r.lookups, r.early, r.runs, r.once = nil, lookups{}, nil, nil, nil
	return taken
}

// looked records that calls were searched for. The next time they are searched for once more,
// and runs are settled again.
func (r *recent) looked(taken *recent, runs []spanID) {
	r.restore(&recent{runs: runs})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.once = &recent{calls: taken.calls, lookups: taken.lookups}
}

// restore returns calls that were taken but not searched for.
func (r *recent) restore(taken *recent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, taken.runs[:min(len(taken.runs), max(maxRecent-len(r.runs), 0))]...)
	if taken.once != nil {
		r.once = taken.once
	}
	if len(r.calls)+len(taken.calls)+len(r.early)+len(taken.early) > maxRecent {
		return
	}
	r.add(taken)
}

// add adds calls and their searches.
func (r *recent) add(taken *recent) {
	base := len(r.calls)
	r.calls, r.early = append(r.calls, taken.calls...), append(r.early, taken.early...)
	for _, look := range taken.lookups.responses {
		look.n += base
		r.lookups.responses = append(r.lookups.responses, look)
	}
	for _, look := range taken.lookups.alike {
		look.n += base
		r.lookups.alike = append(r.lookups.alike, look)
	}
}

// lookAgain repeats the searches for recently committed calls, and schedules those for settling for
// which other spans were found.
func (s *Executions) lookAgain(ctx context.Context, tx pgx.Tx, taken *recent) error {
	both := &recent{calls: slices.Clip(taken.calls), lookups: lookups{
		responses: slices.Clip(taken.lookups.responses), alike: slices.Clip(taken.lookups.alike),
	}}
	if taken.once != nil {
		both.add(taken.once)
	}
	calls, l := both.calls, both.lookups
	if err := s.lookForScopes(ctx, tx, &calls, &l, taken.early); err != nil {
		return err
	}
	found := map[int]bool{}
	if err := l.find(ctx, tx, func(i int, span spanID) {
		if !calls[i].is(span) {
			found[i] = true
		}
	}); err != nil || len(found)+len(taken.runs) == 0 {
		return err
	}
	var traces, spans []string
	for _, run := range taken.runs {
		traces, spans = append(traces, run.trace), append(spans, run.span)
	}
	for i := range found {
		traces, spans = append(traces, calls[i].trace), append(spans, calls[i].span)
	}
	_, err := tx.Exec(ctx, `-- name: InsertFoundAgain :exec
INSERT INTO unsettled_executions (user_id, created_at, execution_id, trace_id, span_id, check_at, heard)
SELECT a.owner, a.started_at, a.trace_id || '-' || a.span_id, a.trace_id, a.span_id, now(), true
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS w (trace_id, span_id)) AS w JOIN span_ancestors a USING (trace_id, span_id)
WHERE a.owner <> '' AND NOT EXISTS (SELECT FROM unsettled_executions u WHERE u.trace_id = a.trace_id AND u.span_id = a.span_id)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING`, traces, spans)
	return err
}

// lookForScopes adds searches for calls of new processes, in the sources that became known after the calls were stored.
func (s *Executions) lookForScopes(ctx context.Context, tx pgx.Tx, calls *[]recentCall, l *lookups, early []earlyCall) error {
	seen := map[int64]map[int64]bool{}
	for _, c := range early {
		seen[c.keys.process] = nil
	}
	if len(seen) == 0 {
		return nil
	}
	sources, err := s.scopes.sourcesOf(ctx, tx, s.now(), seen)
	if err != nil {
		return err
	}
	for i := range early {
		c := &early[i]
		unknown := slices.DeleteFunc(slices.Clone(sources[c.keys.process]), func(source int64) bool { return slices.Contains(c.sources, source) })
		if len(unknown) == 0 {
			continue
		}
		l.similar(len(*calls), &c.span, c.keys, unknown)
		*calls = append(*calls, recentCall{spanID: spanID{c.span.TraceID, c.span.SpanID}})
	}
	return nil
}
