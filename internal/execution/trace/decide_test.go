package trace_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

var noon = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)

// node parses the description of a span: its id, its parent's id and what it is, as in "3<2 call model=m uses=10/2
// scope=inner 5-90". Times are milliseconds after noon. The first letter of an id, if any, is the trace.
func node(t testing.TB, described string) trace.Node {
	t.Helper()
	words := strings.Fields(described)
	id, parent, _ := strings.Cut(words[0], "<")
	s := &execution.Span{TraceID: "t", SpanID: id, ParentSpanID: parent, Scope: "outer", Process: "p", Status: execution.Success}
	if id[0] >= 'a' {
		s.TraceID = id[:1]
	}
	s.StartedAt, s.EndedAt = noon, noon.Add(time.Second)
	e := &execution.Execution{
		ID: s.TraceID + "-" + id, UserID: execution.Unknown, AgentName: execution.Unknown, Kind: execution.Agent, RequestID: s.TraceID,
		TraceID: s.TraceID, SpanID: id, ParentSpanID: parent,
	}
	took := time.Duration(0)
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "run", "step", "call", "tool":
			s.Role, s.Execution = execution.Role(name), true
		case "agent":
			s.Agent = value
		case "default":
			s.Agent, s.DefaultName = value, true
		case "user":
			s.User = value
		case "session":
			s.Session = value
		case "failed":
			s.Status, e.ErrorMessage = execution.Failure, "of "+id
		case "timeout":
			s.Status, e.ErrorMessage = execution.Timeout, "of "+id
		case "untold":
			s.Status = ""
		case "scope":
			s.Scope = value
		case "process":
			s.Process = value
		case "response":
			s.ResponseID, e.RequestID = value, value
		case "model":
			e.Model = value
		case "provider":
			e.Provider = value
		case "total":
			_, _ = fmt.Sscan(value, &e.Tokens.Used)
		case "took":
			var ms int
			_, _ = fmt.Sscan(value, &ms)
			took = time.Duration(ms) * time.Millisecond
		case "adds":
			s.Cumulative = true
		case "estimated":
			e.Usage = execution.UsageEstimated
		case "in":
			e.Input = []byte(value)
		case "uses":
			var n [5]int64
			_, _ = fmt.Sscanf(value, "%d/%d/%d/%d/%d", &n[0], &n[1], &n[2], &n[3], &n[4]) // missing counts are zero
			e.Tokens = execution.Tokens{Input: n[0], Output: n[1], CacheRead: n[2], CacheWrite: n[3], Reasoning: n[4], Used: n[0] + n[1]}
		default:
			var from, to int
			if _, err := fmt.Sscanf(word, "%d-%d", &from, &to); err != nil {
				t.Fatalf("%s: %s: %v", described, word, err)
			}
			s.StartedAt, s.EndedAt = noon.Add(time.Duration(from)*time.Millisecond), noon.Add(time.Duration(to)*time.Millisecond)
		}
	}
	if s.Role == execution.RoleCall {
		e.Kind = execution.Inference
	}
	if s.Role == execution.RoleTool {
		e.Kind = execution.Tool
	}
	e.Status, e.CreatedAt, e.Duration = s.Status, s.StartedAt, s.EndedAt.Sub(s.StartedAt)+took
	if e.Status == "" {
		e.Status = execution.Success
	}
	if s.Role == execution.RoleNone {
		return trace.Node{Span: s}
	}
	return trace.Node{Span: s, Execution: e}
}

// told describes the decision for each node: "- reason" if it has no row.
func reported(nodes []trace.Node, decisions []trace.Decision) []string {
	var all []string
	for i, d := range decisions {
		switch {
		case nodes[i].Execution == nil:
			continue
		case d.Gone:
			all = append(all, nodes[i].SpanID+" - "+d.By)
			continue
		}
		e := *nodes[i].Execution
		d.Write(&e)
		text := fmt.Sprintf("%s %s %s", nodes[i].SpanID, e.Kind, e.AgentName)
		if e.UserID != execution.Unknown || e.SessionID != "" {
			text += fmt.Sprintf(" %s/%s", e.UserID, e.SessionID)
		}
		if e.Status != execution.Success {
			text += fmt.Sprintf(" %s %q", e.Status, e.ErrorMessage)
		}
		if e.Tokens.Used > 0 {
			text += fmt.Sprintf(" %d/%d", e.Tokens.Input, e.Tokens.Output)
		}
		if parts := e.Tokens.CacheRead + e.Tokens.CacheWrite + e.Tokens.Reasoning; parts > 0 {
			text += fmt.Sprintf("/%d/%d/%d", e.Tokens.CacheRead, e.Tokens.CacheWrite, e.Tokens.Reasoning)
		}
		if e.Request {
			text += " request"
		}
		if d.Missing != "" {
			text += " waits for " + d.Missing
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ spans, want []string }{
		"a chain alone":                     {[]string{"1 step"}, []string{"1 agent unknown request"}},
		"a chain whose parent is elsewhere": {[]string{"1<9 step"}, []string{"1 agent unknown request waits for 9"}},
		"a chain in a request":              {[]string{"2<1 step", "1"}, []string{"2 agent unknown request"}},
		"a chain's steps": {
			[]string{"5<4 call", "4<3 step", "3<2", "2<1 step", "1 step agent=planner"},
			[]string{"1 agent planner request", "2 - step", "4 - step", "5 inference planner"},
		},
		"an agent's agent": {[]string{"2<1 run", "1 run"}, []string{"1 agent unknown request", "2 agent unknown"}},
		"a tool's chain":   {[]string{"2<1 step", "1 tool"}, []string{"1 tool unknown", "2 agent unknown"}},
		"a call that two instrumentations see": {
			[]string{"2<1 call uses=40/2/0/0/1 scope=inner 1-9", "1 call uses=40/2/30 0-10 in=1"}, []string{"1 inference unknown 40/2/30/0/1 request", "2 - parent"},
		},
		"a call that three see, over HTTP": {
			[]string{"4<3 call uses=40/2 scope=third", "3<2 call uses=40/2 scope=inner", "2<1", "1 call"},
			[]string{"1 inference unknown 40/2 request", "3 - parent", "4 - parent"},
		},
		"a call whose inner span does not count": {
			[]string{"2<1 call scope=inner", "1 call uses=40/2"}, []string{"1 inference unknown 40/2 request", "2 - parent"},
		},
		"a helper of the same scope within a call": {
			[]string{"2<1 call 1-2", "3<1 call uses=40/2 3-9", "1 call uses=40/2 0-10"},
			[]string{"1 inference unknown 40/2 request", "2 - parent", "3 - parent"},
		},
		"tries within a call": {
			[]string{"2<1 call failed scope=inner 1-2", "3<1 call uses=40/2 scope=inner 3-9", "1 call uses=40/2 0-10"},
			[]string{"1 inference unknown 40/2 request", `2 inference unknown failure "of 2"`, "3 - parent"},
		},
		"an embedding of many": {
			[]string{"2<1 call uses=5/0", "3<1 call uses=5/0", "1 call uses=10/0"},
			[]string{"1 agent unknown request", "2 inference unknown 5/0", "3 inference unknown 5/0"},
		},
		"an embedding of many within a run": {
			[]string{"2<1 call uses=5/0", "3<1 call uses=5/0", "1<0 call uses=10/0", "0 run agent=clerk"},
			[]string{"0 agent clerk request", "1 - step", "2 inference clerk 5/0", "3 inference clerk 5/0"},
		},
		"calls one after the other": {
			[]string{"2<1 call uses=40/2 0-3", "3<1 call uses=40/2 4-9", "1 run"},
			[]string{"1 agent unknown request", "2 inference unknown 40/2", "3 inference unknown 40/2"},
		},
		"a call of a tool of a call": {
			[]string{"3<2 call uses=4/2", "2<1 tool", "1 call uses=4/2"}, []string{"1 inference unknown 4/2 request", "2 tool unknown", "3 inference unknown 4/2"},
		},
		"a use of a tool that two see":            {[]string{"2<1 tool scope=inner", "1<0 tool", "0 run"}, []string{"0 agent unknown request", "1 tool unknown", "2 - parent"}},
		"a tool that uses a tool":                 {[]string{"2<1 tool", "1<0 tool", "0 run"}, []string{"0 agent unknown request", "1 tool unknown", "2 tool unknown"}},
		"a circle":                                {[]string{"3<2 call", "2<1", "1<2"}, []string{"3 inference unknown request"}},
		"a response id in two traces":             {[]string{"a1 call response=r 0-9", "b1 call response=r scope=inner 1-8"}, []string{"a1 inference unknown request", "b1 - response_id"}},
		"one twice from one scope":                {[]string{"a1 call response=r 0-9", "b1 call response=r 1-8"}, []string{"a1 inference unknown request", "b1 inference unknown request"}},
		"one much later":                          {[]string{"a1 call response=r 0-9", "b1 call response=r scope=inner 900000-900009"}, []string{"a1 inference unknown request", "b1 inference unknown request"}},
		"one of two users":                        {[]string{"a1 call response=r user=ada", "b1 call response=r scope=inner user=bob"}, []string{"a1 inference unknown ada/ request", "b1 inference unknown bob/ request"}},
		"one of two users above":                  {[]string{"a1<a0 call response=r", "a0 user=ada", "b1<b0 call response=r scope=inner", "b0 user=bob"}, []string{"a1 inference unknown ada/ request", "b1 inference unknown bob/ request"}},
		"one of a user and nobody":                {[]string{"a1 call response=r user=ada 0-9", "b1 call response=r scope=inner session=s 1-8"}, []string{"a1 inference unknown ada/s request", "b1 - response_id"}},
		"three of which two are somebody's":       {[]string{"a1 call response=r user=ada 0-9", "b1 call response=r scope=inner 1-8", "c1 call response=r scope=third user=bob 2-7"}, []string{"a1 inference unknown ada/ request", "b1 - response_id", "c1 inference unknown bob/ request"}},
		"one that lies in a run stays":            {[]string{"a1 call response=r uses=4/2 0-9", "b1<b0 call response=r scope=inner 1-8", "b0 run agent=clerk"}, []string{"a1 - response_id", "b0 agent clerk request", "b1 inference clerk 4/2"}},
		"one of other counts, of another process": {[]string{"a1 call response=chatcmpl-8xKq2vY0aBcD uses=4/2 0-9", "b1 call response=chatcmpl-8xKq2vY0aBcD uses=4/3 scope=inner process=q 1-8"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/3 request"}},
		"one of another process and clock":        {[]string{"a1 call response=chatcmpl-8xKq2vY0aBcD uses=4/2 0-900", "b1 call response=chatcmpl-8xKq2vY0aBcD uses=4/2 process=q 3000-3800"}, []string{"a1 inference unknown 4/2 request", "b1 - response_id"}},
		"a stranger's of another model":           {[]string{"a1 call response=chatcmpl-8xKq2vY0aBcD model=m uses=4/2 0-900", "b1 call response=chatcmpl-8xKq2vY0aBcD model=other process=q 0-950"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown request"}},
		"a proxy's of its own name for the model": {[]string{"a1 call response=chatcmpl-8xKq2vY0aBcD model=m uses=4/2 0-900", "b1 call response=chatcmpl-8xKq2vY0aBcD model=alias uses=4/2 process=q 1-899"}, []string{"a1 inference unknown 4/2 request", "b1 - response_id"}},
		"one that leaves the cache out":           {[]string{"a1 call response=chatcmpl-8xKq2vY0aBcD uses=9/2/5 0-900", "b1 call response=chatcmpl-8xKq2vY0aBcD uses=4/2 process=q 1-899"}, []string{"a1 inference unknown 4/2 request", "b1 - response_id"}},
		"an estimate of another process":          {[]string{"a1 call response=chatcmpl-8xKq2vY0aBcD uses=9/7 estimated 0-900", "b1 call response=chatcmpl-8xKq2vY0aBcD uses=4/2 process=q 1-899"}, []string{"a1 inference unknown 4/2 request", "b1 - response_id"}},
		"a number that servers give again":        {[]string{"a1 call response=chatcmpl-7 uses=4/2 0-900", "b1 call response=chatcmpl-7 uses=4/2 process=q 3000-3800"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/2 request"}},
		"a number that a proxy's call has too":    {[]string{"a1 call response=chatcmpl-7 uses=4/2 0-900", "b1 call response=chatcmpl-7 uses=4/2 process=q 1-899"}, []string{"a1 inference unknown 4/2 request", "b1 - response_id"}},
		"a number with other counts":              {[]string{"a1 call response=chatcmpl-7 uses=4/2 0-900", "b1 call response=chatcmpl-7 scope=inner uses=5/2 1-899"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 5/2 request"}},
		"silent ones of another length":           {[]string{"a1 call 0-2000", "b1 call uses=4/2 scope=inner 5-1500"}, []string{"a1 inference unknown request", "b1 inference unknown 4/2 request"}},
		"silent ones of one length":               {[]string{"a1 call 0-2000", "b1 call uses=4/2 scope=inner 100-1990"}, []string{"a1 inference unknown 4/2 request", "b1 - similarity"}},
		"similar, in two traces":                  {[]string{"a1 call model=openai/gpt-4o-2024-08-06 uses=4/2 0-9", "b1 call model=gpt-4o uses=4/2 scope=inner 1-8"}, []string{"a1 inference unknown 4/2 request", "b1 - similarity"}},
		"of another process":                      {[]string{"a1 call uses=4/2 0-9", "b1 call uses=4/2 scope=inner process=q 1-8"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/2 request"}},
		"of another model":                        {[]string{"a1 call model=m uses=4/2 0-9", "b1 call model=n uses=4/2 scope=inner 1-8"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/2 request"}},
		"of other counts":                         {[]string{"a1 call uses=4/2 0-9", "b1 call uses=4/3 scope=inner 1-8"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/3 request"}},
		"at another time":                         {[]string{"a1 call uses=4/2 0-900", "b1 call uses=4/2 scope=inner 100-990"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/2 request"}},
		"with other response ids":                 {[]string{"a1 call uses=4/2 response=q 0-9", "b1 call uses=4/2 scope=inner response=r 1-8"}, []string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/2 request"}},
		"one failed and one did not":              {[]string{"a1 call 0-9", "b1 call failed scope=inner 1-8"}, []string{"a1 inference unknown request", `b1 inference unknown failure "of b1" request`}},
		"in different runs":                       {[]string{"a1<a0 call uses=4/2 0-9", "a0 run", "b1<b0 call uses=4/2 scope=inner 1-8", "b0 run"}, []string{"a0 agent unknown request", "a1 inference unknown 4/2", "b0 agent unknown request", "b1 inference unknown 4/2"}},
		"a time-out that was wrapped":             {[]string{"a1 call failed 0-9", "b1 call timeout scope=inner 1-8"}, []string{`a1 inference unknown timeout "of a1" request`, "b1 - similarity"}},
		"an estimate and what was counted":        {[]string{"a1 call response=r uses=4/3 0-9", "b1 call response=r uses=4/2 estimated scope=inner 1-8"}, []string{"a1 inference unknown 4/3 request", "b1 - response_id"}},
		"two calls and their reports": {
			[]string{"a1 call 0-20", "b1 call 1000-1020", "c1 call uses=4/2 900-900", "d1 call uses=6/2 1900-1900"},
			[]string{"a1 inference unknown 4/2 request", "b1 inference unknown 6/2 request", "c1 - similarity", "d1 - similarity"},
		},
		"streams at the same time and their reports": {
			[]string{"a1 call 0-20", "b1 call 100-120", "c1 call uses=4/2 took=479 500-500", "d1 call uses=6/2 took=779 900-900"},
			[]string{"a1 inference unknown 4/2 request", "b1 inference unknown 6/2 request", "c1 - similarity", "d1 - similarity"},
		},
		"a report of a call that failed": {[]string{"a1 call failed 0-20", "c1 call uses=4/2 900-900"}, []string{`a1 inference unknown failure "of a1" request`, "c1 inference unknown 4/2 request"}},
		"a workflow named by default": {
			[]string{"1 run default=flow", "2<1 step", "3<2 run agent=clerk user=ada session=s failed", "4<3 call"},
			[]string{`1 agent clerk ada/s failure "of 3" request`, "2 - step", `3 agent clerk ada/s failure "of 3"`, "4 inference clerk ada/s"},
		},
		"a workflow that calls models itself": {[]string{"1 run default=flow", "2<1 call", "3<1 run agent=clerk"}, []string{"1 agent flow request", "2 inference flow", "3 agent clerk"}},
		"a workflow around nobody":            {[]string{"1 run default=flow", "2<1 run"}, []string{"1 agent flow request", "2 agent flow"}},
		"runs without names":                  {[]string{"1 run", "2<1 run default=flow", "3<2 run agent=clerk"}, []string{"1 agent clerk request", "2 agent clerk", "3 agent clerk"}},
		"a run that survived":                 {[]string{"1 run agent=boss", "2<1 call", "3<1 run agent=clerk failed"}, []string{"1 agent boss request", "2 inference boss", `3 agent clerk failure "of 3"`}},
		"the last of two ended well":          {[]string{"1 run agent=boss", "2<1 run failed 0-5", "3<1 run 6-9"}, []string{"1 agent boss request", `2 agent boss failure "of 2"`, "3 agent boss"}},
		"a run that wrapped a time-out": {
			[]string{"1 run failed 0-100", "2<1 call 1-5", "3<1 call timeout 6-90"},
			[]string{`1 agent unknown timeout "of 1" request`, "2 inference unknown", `3 inference unknown timeout "of 3"`},
		},
		"a run that failed after a time-out": {
			[]string{"1 run failed 0-100", "2<1 call timeout 1-5", "3<1 call 6-90"},
			[]string{`1 agent unknown failure "of 1" request`, `2 inference unknown timeout "of 2"`, "3 inference unknown"},
		},
		"a run that does not say that its call failed": {
			[]string{"1 run untold 0-100", "2<1 call 1-5", "3<1 call failed 6-90"},
			[]string{`1 agent unknown failure "of 3" request`, "2 inference unknown", `3 inference unknown failure "of 3"`},
		},
		"a run that does not say that its agent ran out of time": {
			[]string{"1 run untold 0-100", "2<1 call 1-5", "3<1 step untold 5-95", "4<3 run agent=clerk timeout 6-90"},
			[]string{`1 agent clerk timeout "of 4" request`, "2 inference clerk", "3 - step", `4 agent clerk timeout "of 4"`},
		},
		"a run that says that it succeeded without its last call": {
			[]string{"1 run 0-100", "3<1 call failed 6-90"}, []string{"1 agent unknown request", `3 inference unknown failure "of 3"`},
		},
		"a run that tried again": {
			[]string{"1 run untold 0-100", "2<1 call failed 1-5", "3<1 call 6-90"},
			[]string{"1 agent unknown request", `2 inference unknown failure "of 2"`, "3 inference unknown"},
		},
		"a run whose tool failed": {
			[]string{"1 run untold 0-100", "2<1 call 1-5", "3<1 tool failed 6-90", "4<1 call 91-99"},
			[]string{"1 agent unknown request", "2 inference unknown", `3 tool unknown failure "of 3"`, "4 inference unknown"},
		},
		"a run of which only the tool is known": {
			[]string{"1 run untold 0-100", "3<1 tool failed 6-90"}, []string{"1 agent unknown request", `3 tool unknown failure "of 3"`},
		},
		"a run that went on without the agent that its tool is": {
			[]string{"1 run untold 0-100", "2<1 call 1-5", "3<1 tool 6-90", "4<3 run failed 7-89"},
			[]string{"1 agent unknown request", "2 inference unknown", "3 tool unknown", `4 agent unknown failure "of 4"`},
		},
		"a run that went on long after its call failed": {
			[]string{"1 run untold 0-9000", "2<1 call failed 1-5"}, []string{"1 agent unknown request", `2 inference unknown failure "of 2"`},
		},
		"an error that went through a run": {
			[]string{"1 failed 0-100", "2<1 run untold agent=clerk 1-99", "3<2 failed 2-98"}, []string{`2 agent clerk failure "" request`},
		},
		"an error within a run that did not leave it": {
			[]string{"1 0-100", "2<1 run untold agent=clerk 1-99", "3<2 failed 2-98"}, []string{"2 agent clerk request"},
		},
		"an error around a run": {
			[]string{"1 failed 0-100", "2<1 run untold agent=clerk 1-9", "3<2 2-8"}, []string{"2 agent clerk request"},
		},
		"a run none of whose calls is known":        {[]string{"1 run uses=40/2", "2<1 tool"}, []string{"1 agent unknown 40/2 request", "2 tool unknown"}},
		"a run whose calls are known":               {[]string{"1 run uses=40/2", "3<2 call uses=40/2", "2<1"}, []string{"1 agent unknown request", "3 inference unknown 40/2"}},
		"a run whose calls do not count":            {[]string{"1 run uses=40/2", "2<1 call"}, []string{"1 agent unknown 40/2 request", "2 inference unknown"}},
		"a run whose parent is elsewhere":           {[]string{"1<0 run uses=40/2"}, []string{"1 agent unknown 40/2 request waits for 0"}},
		"a run that counts what runs in it used":    {[]string{"1 run uses=60/3", "2<1 run uses=40/2", "3<1 run uses=20/1"}, []string{"1 agent unknown request", "2 agent unknown 40/2", "3 agent unknown 20/1"}},
		"a run that counts, in a call with counts":  {[]string{"1 call uses=60/3", "2<1 run uses=40/2"}, []string{"1 inference unknown 60/3 request", "2 agent unknown"}},
		"a chain that counts as one of those above": {[]string{"1 run", "2<1 step uses=40/2"}, []string{"1 agent unknown request", "2 - step"}},
		"a stream whose output one scope adds up": {
			[]string{"1 call model=m uses=40/3 response=msg_1 0-20", "2 call model=m uses=40/2 response=msg_1 scope=inner 1-19"},
			[]string{"1 inference unknown 40/2 request", "2 - response_id"},
		},
		"answers of one id with other outputs": {
			[]string{"1 call model=m uses=40/3 response=msg_1 0-900", "2 call model=m uses=40/2 response=msg_1 scope=inner 300-600"},
			[]string{"1 inference unknown 40/3 request", "2 inference unknown 40/2 request"},
		},
		"answers of one id with other inputs": {
			[]string{"1 call model=m uses=41/3 response=msg_1 0-20", "2 call model=m uses=40/3 response=msg_1 scope=inner 1-19"},
			[]string{"1 inference unknown 41/3 request", "2 inference unknown 40/3 request"},
		},
		"users who disagree":        {[]string{"1 run", "2<1 call user=ada", "3<1 call user=bob"}, []string{"1 agent unknown request", "2 inference unknown ada/", "3 inference unknown bob/"}},
		"an orphan within the root": {[]string{"1 run agent=boss 0-100", "3<2 call 5-90"}, []string{"1 agent boss request", "3 inference boss waits for 2"}},
		"an orphan beside the root": {[]string{"1 run agent=boss 0-100", "3<2 call 50-190"}, []string{"1 agent boss request", "3 inference unknown request waits for 2"}},
		"seventy spans between": {
			append(chainOf(70), "0 user=ada", "100<70 call"), []string{"100 inference unknown ada/ request"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decideAs(t, tt.spans, tt.want)
		})
	}
}

// chainOf returns n spans, each the child of the previous one.
func chainOf(n int) (spans []string) {
	for i := range n {
		spans = append(spans, fmt.Sprintf("%d<%d", i+1, i))
	}
	return spans
}

func TestWeakResponse(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"chatcmpl-512": true, "msg_1": true, "r": true, "": true, "chatcmpl-mock-response": true, "resp_proxy-0001": true,
		"chatcmpl-9abcDEF2ghiJKL3mnoPQR4stuVWX5": false, "msg_01XFDUDYJgAACzvnptvVoYEL": false, "resp_67ccd3a9da748190baa7f1570fe91ac604becb25c45c1d41": false,
		"550e8400-e29b-41d4-a716-446655440000": false, "ALy0Z6eQ6a2xS8K5mdUPpr7R2Qk": false, "cb6b4b1a3c0e4a6f9d1c2e3f4a5b6c7d": false,
	} {
		if got := trace.WeakResponse(id); got != want {
			t.Errorf("%q: want %v, got %v", id, want, got)
		}
	}
}

// TestCallsAreJoinedOneToOne checks as many simultaneous calls of one scope as of another, plus one more of the first.
func TestCallsAreJoinedOneToOne(t *testing.T) {
	t.Parallel()
	var nodes []trace.Node
	for i := range 20 {
		nodes = append(nodes, node(t, fmt.Sprintf("%c%d call uses=4/2 %d-%d", 'a'+i, i, i, 900+i)))
		if i > 0 {
			nodes = append(nodes, node(t, fmt.Sprintf("%c%d call uses=4/2 scope=inner %d-%d", 'A'+i, i, i+1, 899+i)))
		}
	}
	stay := 0
	for _, d := range trace.Decide(nodes) {
		if !d.Gone {
			stay++
		}
	}
	if stay != 20 {
		t.Errorf("want 20 calls, got %d", stay)
	}
}

// TestContradictoryDuplicates checks that of many spans claiming to be one call at most maxGroup are joined, in little
// time.
func TestContradictoryDuplicates(t *testing.T) {
	t.Parallel()
	const spans = 20_000
	var nodes []trace.Node
	for i := range spans {
		nodes = append(nodes, node(t, fmt.Sprintf("%d<%d call uses=%d/2 response=r scope=%d process=%d", i+1, i%7, i, i%50, i%3)))
	}
	began := time.Now()
	decisions := trace.Decide(nodes)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	for i, d := range decisions {
		if len(d.Members) > 8 {
			t.Errorf("span %d is one call with %d others", i+1, len(d.Members))
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	var nodes []trace.Node
	for i := range 100 {
		role := []string{"call uses=10/2", "", "step", "tool"}[i%4]
		nodes = append(nodes, node(b, fmt.Sprintf("%d<%d %s", i+1, i/8, role)))
	}
	for b.Loop() {
		trace.Decide(nodes)
	}
}
