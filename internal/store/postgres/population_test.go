package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

const (
	severalAlike = "one of several alike"
	// maxAlikeTwice is the maximum number of calls counted twice among those that began within milliseconds and
	// have the same counts: earlier spans may have been paired across calls, and leave two that cannot be one call.
	maxAlikeTwice = 4
)

// truth is one event, however many spans describe it.
type truth struct {
	what    string
	ids     []string // of the executions of its spans, one of which stays
	figures string
}

// population generates events and the spans that describe them.
type population struct {
	random *rand.Rand
	began  time.Time
	pieces []piece
	truths []truth
	next   int
	price  int64 // per token

	streamed map[trace]bool

	erased       bool            // a user was erased: late spans of the user belong to nobody
	storedBefore map[string]bool // executions of the user
}

// place is where calls are made: in a run or outside one.
type place struct {
	scene
	population          *population
	parent, process     string
	agent, user, sesson string
	inRun               bool
	used                *[2]int64 // usage of the run's calls, input and output
}

func (w *population) id() string {
	w.next++
	return fmt.Sprint(w.next)
}

func (w *population) add(p piece) string {
	w.pieces = append(w.pieces, p)
	if p.execution == nil {
		return ""
	}
	return p.execution.ID
}

// truthOf records an event. The used tokens of a place are those of calls only.
func (at place) truthOf(what string, kind execution.Kind, status execution.Status, input, output int64, provider *int64, request bool, ids ...string) {
	cost, charged := "-", "-"
	if input+output > 0 {
		cost = fmt.Sprint(at.population.price * (input + output))
	}
	if provider != nil {
		charged = fmt.Sprint(*provider)
	}
	if at.used != nil && kind == execution.Inference {
		at.used[0], at.used[1] = at.used[0]+input, at.used[1]+output
	}
	at.population.truths = append(at.population.truths, truth{what, ids, fmt.Sprintf("%s %s %s/%s/%s %d/%d cost %s charged %s request %v",
		kind, status, at.agent, at.user, at.sesson, input, output, cost, charged, request)})
}

// spanned returns a span of the place's process.
func (at place) spanned(role execution.Role, tr trace, parent string, from, to int, change ...func(*piece)) piece {
	return at.in(tr).piece(role, at.population.id(), parent, from, to, append([]func(*piece){func(p *piece) { p.span.Process = at.process }}, change...)...)
}

func scoped(scope string) func(*piece) { return func(p *piece) { p.span.Scope = scope } }

func answered(id string) func(*piece) { return func(p *piece) { p.span.ResponseID = id } }

func ofProcess(process string) func(*piece) { return func(p *piece) { p.span.Process = process } }

func charged(nanoUSD int64) func(*piece) {
	return func(p *piece) { p.execution.ProviderCost = &nanoUSD }
}

func unknownUsage(p *piece) {
	silent(p)
	p.execution.Usage = execution.UsageUnknown
}

func inSession(session string) func(*piece) { return func(p *piece) { p.span.Session = session } }

// someCall makes a call that begins from milliseconds after the scene, described in one of the possible ways.
func (at place) someCall(from int) {
	w, request := at.population, !at.inRun
	input, output := w.random.Int64N(5000)+1, w.random.Int64N(500)+1
	to := from + 300 + w.random.IntN(2000)
	counts := uses(input, output)
	response := fmt.Sprintf("chatcmpl-%016x%d", w.random.Uint64(), w.random.IntN(10))
	one := func(what string, ids ...string) {
		at.truthOf(what, execution.Inference, execution.Success, input, output, nil, request, ids...)
	}
	switch w.random.IntN(9) {
	case 0:
		one("a call seen once", w.add(at.spanned(call, at.trace, at.parent, from, to, counts)))
	case 1:
		outer := at.spanned(call, at.trace, at.parent, from, to, scoped("framework"), unknownUsage)
		if w.erased { // a silent one may be joined to another's call until its own arrives, and be erased with it
			outer = at.spanned(call, at.trace, at.parent, from, to, scoped("framework"), counts)
		}
		one("a call in a call", w.add(outer), w.add(at.spanned(call, at.trace, outer.span.SpanID, from+3, to-3, counts)))
	case 2:
		one("a call in two traces", w.add(at.spanned(call, at.trace, at.parent, from, to, scoped("framework"), counts)),
			w.add(at.spanned(call, newTrace(), "", from+3, to-3, counts)))
	case 3:
		one("a call in two traces with a response id", w.add(at.spanned(call, at.trace, at.parent, from, to, scoped("framework"), unknownUsage, answered(response))),
			w.add(at.spanned(call, newTrace(), "", from+3, to-3, counts, answered(response))))
	case 4:
		at.truthOf("a call through a proxy", execution.Inference, execution.Success, input, output, new(input*3), request,
			w.add(at.spanned(call, at.trace, at.parent, from, to, counts, answered(response))),
			w.add(at.spanned(call, newTrace(), "", from+10, to-10, counts, answered(response), ofProcess("proxy"), scoped("proxy"), charged(input*3))))
	case 5:
		if at.inRun {
			if w.streamed[at.trace] { // of two it would be ambiguous which is reported
				break
			}
			w.streamed[at.trace] = true
		}
		streaming := scoped("streaming")
		one("a stream", w.add(at.spanned(call, at.trace, at.parent, from, from+20, silent, streaming)),
			w.add(at.spanned(call, at.trace, at.parent, to, to, counts, streaming)))
	case 6:
		outer := at.spanned(call, at.trace, at.parent, from, to, scoped("framework"), counts)
		first := at.spanned(call, at.trace, outer.span.SpanID, from+2, from+50, failed)
		one("a call tried twice", w.add(outer), w.add(at.spanned(call, at.trace, outer.span.SpanID, from+100, to-2, counts)))
		at.truthOf("a failed try", execution.Inference, execution.Failure, 0, 0, nil, false, w.add(first))
	case 7:
		for i := range 2 + w.random.IntN(6) {
			one(severalAlike, w.add(at.spanned(call, at.trace, at.parent, from+i, to+i, scoped("framework"), counts)),
				w.add(at.spanned(call, newTrace(), "", from+i+2, to+i-2, counts)))
		}
	case 8:
		output = 0
		counts = uses(input, 0)
		for i := range 2 + w.random.IntN(6) {
			one("one of a batch of embeddings", w.add(at.spanned(call, at.trace, at.parent, from+i, to+i, counts)))
		}
	}
}

// someRun makes a run of an agent, and what it does.
func (w *population) someRun() {
	at := place{population: w, scene: scene{w.began.Add(time.Duration(w.random.IntN(4000)) * time.Millisecond), newTrace()}, inRun: true}
	at.process = fmt.Sprint("process ", w.random.IntN(3))
	at.agent, at.user, at.sesson = fmt.Sprint("agent ", w.random.IntN(4)), fmt.Sprint("user ", w.random.IntN(5)), fmt.Sprint("session ", w.random.IntN(9))
	at.used = new([2]int64)
	root := at.spanned(run, at.trace, "", 0, 60_000, named(at.agent))
	says := []func(*piece){ofUser(at.user), inSession(at.sesson)}
	defer func() { at.reportsUsage(root) }()
	if w.random.IntN(2) == 0 { // a step below says whose it is
		at.parent = root.span.SpanID
		inner := at.spanned(step, at.trace, at.parent, 1, 59_000, says...)
		w.add(inner)
		at.parent = inner.span.SpanID
	} else {
		root = at.spanned(run, at.trace, "", 0, 60_000, append(says, named(at.agent))...)
		at.parent = root.span.SpanID
	}
	if w.random.IntN(2) == 0 {
		between := at.in(at.trace).trace.span(w.id(), at.parent)
		w.add(piece{span: between})
		at.parent = between.SpanID
	}
	for i := range 1 + w.random.IntN(4) {
		at.someCall(100 + 300*i)
	}
	if w.random.IntN(2) == 0 {
		outer := at.spanned(tool, at.trace, at.parent, 20_000, 21_000, scoped("framework"))
		at.truthOf("a tool's use", execution.Tool, execution.Success, 0, 0, nil, false, w.add(outer),
			w.add(at.spanned(tool, at.trace, outer.span.SpanID, 20_001, 20_999)))
	}
}

// reportsUsage lets the span of a run report none of the usage of
// its calls, all of it, or more if the span of a call is missing.
func (at place) reportsUsage(root piece) {
	var more [2]int64
	switch at.population.random.IntN(3) {
	case 0:
		at.truthOf("a run", execution.Agent, execution.Success, 0, 0, nil, true, at.population.add(root))
		return
	case 1:
		more = [2]int64{at.population.random.Int64N(5000) + 1, at.population.random.Int64N(500) + 1}
		asked := at.spanned(tool, at.trace, root.span.SpanID, 50, 60)
		at.truthOf("a tool that an unknown call asked for", execution.Tool, execution.Success, 0, 0, nil, false, at.population.add(asked))
	}
	uses(at.used[0]+more[0], at.used[1]+more[1])(&root)
	at.truthOf("a run that says what it used", execution.Agent, execution.Success, more[0], more[1], nil, true, at.population.add(root))
}

// newPopulation returns a world with the given number of runs, and calls beside them.
func newPopulation(random *rand.Rand, runs int, change ...func(*population)) *population {
	w := &population{random: random, price: 1, streamed: map[trace]bool{}, began: time.Now().UTC().Add(-5 * time.Minute).Truncate(time.Second)}
	for _, c := range change {
		c(w)
	}
	for range runs {
		w.someRun()
		if random.IntN(3) == 0 { // neither agent nor user is known
			at := place{population: w, scene: scene{w.began.Add(time.Duration(random.IntN(4000)) * time.Millisecond), newTrace()}}
			at.process, at.agent, at.user = "process alone", execution.Unknown, execution.Unknown
			output := int64(w.next)
			at.truthOf("a call of nobody", execution.Inference, execution.Success, 7, output, nil, true,
				w.add(at.spanned(call, at.trace, "", 0, 500, uses(7, output))))
		}
	}
	return w
}

// exports returns the world's pieces in any order and number of batches, some of them twice.
func (w *population) exports() (batches []execution.Batch) {
	left := slices.Clone(w.pieces)
	w.random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	for len(left) > 0 {
		n := min(len(left), 1+w.random.IntN(30))
		batches = append(batches, batchOf(left[:n]...))
		left = left[n:]
		if w.random.IntN(5) == 0 {
			batches = append(batches, batches[w.random.IntN(len(batches))])
		}
	}
	return batches
}

// check compares what is stored with what happened.
func (w *population) check(t tester, db database, heard []execution.Execution) {
	t.Helper()
	stored := map[string]string{}
	for _, row := range naive(t, db, rowOfTwo, `SELECT execution_id, concat_ws(' ', kind, status, concat_ws('/', agent_name, user_id, session_id),
		concat_ws('/', input_tokens, output_tokens), 'cost', COALESCE(cost_nano_usd::text, '-'), 'charged', COALESCE(provider_cost_nano_usd::text, '-'),
		'request', CASE WHEN request THEN 'true' ELSE 'false' END) FROM agent_executions`) {
		if stored[row[0]] != "" {
			t.Errorf("%s is stored twice", row[0])
		}
		stored[row[0]] = row[1]
	}
	wrong, alike := map[string]int{}, 0
	seen := map[string]bool{}
	again := 0
	for _, e := range heard {
		if seen[e.ID] {
			again++
		}
		seen[e.ID] = true
	}
	// Among several alike, both spans of one call may be settled before they
	// are found to be one, and so may what is stored again while it settles.
	if again > len(w.truths)/50 || len(seen) > len(w.truths)+len(w.truths)/20 {
		wrong[fmt.Sprintf("want %d settled, got %d, and %d of them twice", len(w.truths), len(seen), again)]++
	}
	for _, happened := range w.truths {
		var got []string
		for _, id := range happened.ids {
			if row, is := stored[id]; is {
				got = append(got, row)
				delete(stored, id)
			}
		}
		switch {
		case happened.what == severalAlike && len(got) == 2 && alike < maxAlikeTwice:
			alike++
		case len(got) != 1:
			wrong[fmt.Sprintf("%s: want one row, got %d", happened.what, len(got))]++
		case got[0] != happened.figures:
			wrong[fmt.Sprintf("%s: want %s, got %s", happened.what, happened.figures, got[0])]++
		}
	}
	for id, row := range stored {
		if !strings.Contains(row, "/"+execution.Unknown+"/") || !w.erased {
			wrong["a row of nothing: "+row]++
		} else if w.storedBefore[id] {
			wrong["what was erased came back: "+row]++
		}
	}
	var lines []string
	for what, n := range wrong {
		lines = append(lines, fmt.Sprintf("%d × %s", n, what))
	}
	if slices.Sort(lines); len(lines) > 0 {
		t.Errorf("of %d:\n%s", len(w.truths), strings.Join(lines[:min(len(lines), 30)], "\n"))
	}
}
