package postgres_test

import (
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// scene makes pieces of traces at times relative to its start.
type scene struct {
	began time.Time
	trace trace
}

func newScene() scene {
	return scene{time.Now().UTC().Add(-5 * time.Minute).Truncate(time.Second), newTrace()}
}

// in returns the same moment in another trace.
func (s scene) in(tr trace) scene { return scene{s.began, tr} }

// piece returns a span of a role, from and to in milliseconds after the scene began.
func (s scene) piece(role execution.Role, id, parent string, from, to int, change ...func(*piece)) piece {
	p := s.trace.call(id, parent)
	p.span.Role, p.span.Status, p.span.Scope, p.span.Process = role, execution.Success, "outer", "process"
	p.span.StartedAt, p.span.EndedAt = s.at(from), s.at(to)
	e := p.execution
	e.CreatedAt, e.Duration, e.RequestID = p.span.StartedAt, p.span.EndedAt.Sub(p.span.StartedAt), string(s.trace)
	if role != execution.RoleCall {
		e.Kind, e.Model, e.Provider, e.Tokens, e.Cost = execution.Agent, "", "", execution.Tokens{}, nil
	}
	if role == execution.RoleTool {
		e.Kind, e.Request = execution.Tool, false
	}
	for _, c := range change {
		c(&p)
	}
	if e.Status = p.span.Status; e.Status != execution.Success {
		e.ErrorMessage = "of " + id
	}
	if p.span.Agent != "" {
		e.AgentName = p.span.Agent
	}
	if p.span.User != "" {
		e.UserID = p.span.User
	}
	if e.SessionID = p.span.Session; p.span.ResponseID != "" {
		e.RequestID = p.span.ResponseID
	}
	return p
}

func (s scene) at(ms int) time.Time { return s.began.Add(time.Duration(ms) * time.Millisecond) }

func inner(p *piece) { p.span.Scope = "inner" }

func named(agent string) func(*piece) { return func(p *piece) { p.span.Agent = agent } }

func byDefault(agent string) func(*piece) {
	return func(p *piece) { p.span.Agent, p.span.DefaultName = agent, true }
}

func failed(p *piece) {
	p.span.Status = execution.Failure
	p.execution.Tokens, p.execution.Cost = execution.Tokens{}, nil
}

func ofUser(user string) func(*piece) { return func(p *piece) { p.span.User = user } }

func response(p *piece) { p.span.ResponseID = "r" }

func uses(input, output int64) func(*piece) {
	return func(p *piece) {
		p.execution.Tokens = execution.Tokens{Input: input, Output: output, Used: input + output}
		p.execution.Cost = new(input + output)
	}
}

func silent(p *piece) { p.execution.Tokens, p.execution.Cost = execution.Tokens{}, nil }

func withPayloads(input, output string) func(*piece) {
	return func(p *piece) { p.execution.Input, p.execution.Output = []byte(input), []byte(output) }
}

const (
	run  = execution.RoleRun
	step = execution.RoleStep
	call = execution.RoleCall
	tool = execution.RoleTool
)

// joinScenes are situations in which several spans describe the same
// call, each with the numbers of rows, requests and tokens that result.
var joinScenes = map[string]struct {
	pieces                 func(s scene) []piece
	rows, requests, tokens int
	agent                  string           // of the requests
	user                   string           // of all rows
	status                 execution.Status // of the requests
	by                     string           // how the spans were matched
}{
	"two instrumentations with one response id in two traces": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "", 0, 900, response), s.in(newTrace()).piece(call, "2", "", 1, 899, inner, response)}
	}, rows: 1, requests: 1, tokens: 150, by: "response_id"},
	"an SDK within a client within an agent": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("clerk"), ofUser("ada")),
			s.piece(call, "2", "1", 1, 900, withPayloads(`"asked"`, `"answered"`)),
			s.piece(call, "3", "2", 2, 899, inner),
			{span: s.trace.span("4", "3")},
		}
	}, rows: 2, requests: 1, tokens: 150, agent: "clerk", user: "ada", by: "parent"},
	"a chain's client in traces of its own": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 5000, named("clerk")),
			s.piece(step, "2", "1", 1, 1500),
			s.piece(call, "3", "2", 2, 1400, uses(10, 1)),
			s.in(newTrace()).piece(call, "4", "", 3, 1399, inner, uses(10, 1)),
			s.piece(step, "5", "1", 2000, 4000),
			s.piece(call, "6", "5", 2001, 3900, uses(20, 2)),
			s.in(newTrace()).piece(call, "7", "", 2002, 3899, inner, uses(20, 2)),
		}
	}, rows: 3, requests: 1, tokens: 33, agent: "clerk", by: "similarity"},
	"identical calls at the same time": {pieces: func(s scene) (all []piece) {
		for i := range 5 {
			all = append(all,
				s.in(newTrace()).piece(call, fmt.Sprint("a", i), "", i, 900+i),
				s.in(newTrace()).piece(call, fmt.Sprint("b", i), "", i+1, 899+i, inner))
		}
		return all
	}, rows: 5, requests: 5, tokens: 5 * 150, by: "similarity"},
	"a call that failed, seen twice": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "", 0, 900, failed), s.in(newTrace()).piece(call, "2", "", 1, 899, inner, failed)}
	}, rows: 1, requests: 1, status: execution.Failure, by: "similarity"},
	"a stream and the report of its end": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "", 0, 20, silent), s.in(newTrace()).piece(call, "2", "", 900, 900)}
	}, rows: 1, requests: 1, tokens: 150, by: "similarity"},
	"a loop around calls": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(call, "1", "", 0, 900, uses(300, 30)),
			s.piece(call, "2", "1", 1, 300, inner, uses(100, 10)), s.piece(call, "3", "1", 400, 800, inner, uses(200, 20)),
		}
	}, rows: 3, requests: 1, tokens: 330},
	"three tell of one call": {pieces: func(s scene) []piece {
		third := func(p *piece) { p.span.Scope = "third" }
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("clerk")), s.piece(call, "2", "1", 1, 900, silent),
			s.piece(call, "3", "2", 2, 899, inner, response),
			s.in(newTrace()).piece(call, "4", "", 3, 898, third, response),
		}
	}, rows: 2, requests: 1, tokens: 150, agent: "clerk"},
	"a workflow around an agent that failed": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, byDefault("Agent workflow")), s.piece(step, "2", "1", 1, 999),
			s.piece(run, "3", "2", 2, 998, named("clerk"), failed, ofUser("ada")), s.piece(call, "4", "3", 3, 900, failed),
		}
	}, rows: 3, requests: 1, agent: "clerk", user: "ada", status: execution.Failure},
	"a workflow that hands over": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, byDefault("Agent workflow")),
			s.piece(run, "2", "1", 1, 400, named("triage"), failed), s.piece(call, "3", "2", 2, 300),
			s.piece(run, "4", "1", 500, 900, named("billing")), s.piece(call, "5", "4", 501, 800),
		}
	}, rows: 5, requests: 1, tokens: 300, agent: "triage", status: execution.Success},
	"an agent that survives its tool's agent": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("manager")), s.piece(call, "2", "1", 1, 100),
			s.piece(tool, "3", "1", 200, 400, failed), s.piece(run, "4", "3", 201, 399, named("helper"), failed),
		}
	}, rows: 4, requests: 1, tokens: 150, agent: "manager", status: execution.Success},
	"users who disagree": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("clerk")),
			s.piece(call, "2", "1", 1, 400, ofUser("ada")), s.piece(call, "3", "1", 500, 900, ofUser("bob")),
		}
	}, rows: 3, requests: 1, tokens: 300, agent: "clerk"},
	"one response id of two users": {pieces: func(s scene) []piece {
		other := s.in(newTrace())
		return []piece{
			s.piece(run, "1", "", 0, 1000, ofUser("ada"), named("clerk")), s.piece(call, "2", "1", 1, 900, response),
			other.piece(run, "3", "", 0, 1000, ofUser("bob"), named("clerk")), other.piece(call, "4", "3", 1, 900, inner, response),
		}
	}, rows: 4, requests: 2, tokens: 300, agent: "clerk"},
	"a loop whose calls add up": {pieces: func(s scene) []piece {
		adds := func(p *piece) { p.span.Cumulative = true }
		return []piece{
			s.piece(run, "1", "", 0, 5000, named("clerk"), ofUser("ada")),
			{span: s.trace.span("2", "1")},
			s.piece(call, "3", "2", 1, 900, uses(100, 20)), s.piece(tool, "4", "2", 901, 950, adds),
			s.piece(call, "5", "2", 960, 1900, uses(230, 50)), s.piece(tool, "6", "2", 1901, 1950, adds),
			s.piece(call, "7", "2", 1960, 2900, uses(400, 60)),
		}
	}, rows: 6, requests: 1, tokens: 460, agent: "clerk", user: "ada"},
	"a loop that adds up, seen by the SDK as well": {pieces: func(s scene) []piece {
		adds := func(p *piece) { p.span.Cumulative = true }
		return []piece{
			s.piece(run, "1", "", 0, 5000, named("clerk"), ofUser("ada")),
			s.piece(call, "3", "1", 1, 900, uses(100, 20)), s.piece(tool, "4", "1", 901, 950, adds),
			s.piece(call, "5", "1", 960, 1900, uses(230, 50)), s.piece(call, "6", "5", 961, 1899, inner, uses(130, 30)),
		}
	}, rows: 4, requests: 1, tokens: 280, agent: "clerk", user: "ada", by: "parent"},
	"a run that says what its calls used": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 5000, named("clerk"), ofUser("ada"), uses(300, 30)),
			s.piece(call, "2", "1", 1, 900, uses(100, 10)), s.piece(tool, "3", "1", 901, 950), s.piece(call, "4", "1", 960, 1900, uses(200, 20)),
		}
	}, rows: 4, requests: 1, tokens: 330, agent: "clerk", user: "ada"},
	"a run one of whose spans is of a loop": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 5000, named("clerk"), ofUser("ada"), uses(300, 30)),
			s.piece(call, "2", "1", 1, 4000, uses(200, 20)), s.in(newTrace()).piece(call, "5", "", 2, 3999, inner, uses(200, 20)), s.piece(tool, "3", "1", 901, 950),
		}
	}, rows: 3, requests: 1, tokens: 330, agent: "clerk", user: "ada", by: "similarity"},
	"a run without calls within a workflow": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 5000, byDefault("flow"), uses(300, 30)), s.piece(step, "2", "1", 1, 4999),
			s.piece(run, "3", "2", 2, 4998, named("clerk"), ofUser("ada"), uses(300, 30)), s.piece(tool, "4", "3", 901, 950),
		}
	}, rows: 3, requests: 1, tokens: 330, agent: "clerk", user: "ada"},
	"a circle of calls": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "2", 0, 900, uses(1, 1)), s.piece(call, "2", "1", 1, 899, uses(1, 1))}
	}, rows: 1, requests: 1, tokens: 2},
}
