package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/test/conformance/mock"
)

// recorded is what the server stored for a scenario.
type recorded struct {
	Inferences int         `json:"inferences"`
	Agents     int         `json:"agents"`
	Tools      int         `json:"tools"`
	Requests   int         `json:"requests"`
	Tokens     mock.Tokens `json:"tokens"`
	Cost       int64       `json:"cost_nano_usd"`
	Unpriced   bool        `json:"unpriced"`
	Agent      []string    `json:"agent"` // of the requests, like the other fields
	User       []string    `json:"user"`
	Session    []string    `json:"session"`
	Status     []string    `json:"status"`
	Models     []string    `json:"models"`
	Content    bool        `json:"content"`
	Asked      bool        `json:"-"` // whether the input has the question
}

// result is the result of a case.
type result struct {
	*libraryCase
	scenarios []outcome
}

type outcome struct {
	scenario
	recorded recorded
	faults   []string
}

func (r *result) verdict(err error) string {
	if r == nil || err != nil && len(r.scenarios) == 0 {
		return "did not run"
	}
	wrong := 0
	for _, s := range r.scenarios {
		if len(s.faults) > 0 {
			wrong++
		}
	}
	return fmt.Sprintf("%d of %d scenarios right", len(r.scenarios)-wrong, len(r.scenarios))
}

// compare reads the stored executions until they are right or the time is over.
func (l *lab) compare(ctx context.Context, s scenario, seen *observed, logs bool) (outcome, error) {
	within := settleWithin
	if logs {
		within = joinWithin
	}
	deadline := time.Now().Add(within)
	for {
		got, err := l.stored(ctx, seen.spans())
		if err != nil {
			return outcome{}, err
		}
		faults := s.faults(got, seen)
		if len(faults) == 0 || time.Now().After(deadline) {
			return outcome{s, got, faults}, nil
		}
		select {
		case <-ctx.Done():
			return outcome{}, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

const storedQuery = `
SELECT kind, request, agent_name, user_id, session_id, status, model_used, input_tokens, output_tokens, cache_read_tokens,
    cache_write_tokens, reasoning_tokens, cost_nano_usd, coalesce(output_json::text, ''),
    coalesce(input_json::text, '')
FROM agent_executions WHERE execution_id = ANY($1) ORDER BY created_at, execution_id`

func (l *lab) stored(ctx context.Context, executions []string) (recorded, error) {
	var got recorded
	rows, err := l.database.Query(ctx, storedQuery, executions)
	if err != nil {
		return got, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, agent, user, session, status, model, output, input string
		var request bool
		var t mock.Tokens
		var cost *int64
		if err := rows.Scan(&kind, &request, &agent, &user, &session, &status, &model, &t.Input, &t.Output, &t.CacheRead,
			&t.CacheWrite, &t.Reasoning, &cost, &output, &input); err != nil {
			return got, err
		}
		switch kind {
		case "inference":
			got.Inferences++
			got.Models = append(got.Models, model)
		case "agent":
			got.Agents++
		case "tool":
			got.Tools++
		}
		if request {
			got.Requests++
			got.Agent, got.User = append(got.Agent, agent), append(got.User, user)
			got.Session, got.Status = append(got.Session, session), append(got.Status, status)
		}
		got.Tokens.Input += t.Input
		got.Tokens.Output += t.Output
		got.Tokens.CacheRead += t.CacheRead
		got.Tokens.CacheWrite += t.CacheWrite
		got.Tokens.Reasoning += t.Reasoning
		if cost != nil {
			got.Cost += *cost
		} else if t != (mock.Tokens{}) {
			got.Unpriced = true
		}
		got.Content = got.Content || strings.Contains(output, "sunny in Paris")
		got.Asked = got.Asked || strings.Contains(input, "weather in Paris")
	}
	return got, rows.Err()
}

// faults returns the differences between what was recorded and the truth.
func (s scenario) faults(got recorded, seen *observed) (faults []string) {
	sent := attributesOf(seen)
	omitted := func(what string) bool { return slices.Contains(s.NotSent, what) }
	differs := func(what string, got, want any, right bool, evidence ...string) {
		switch {
		case right && omitted(what):
			faults = append(faults, fmt.Sprintf("%s is declared as not sent, and is recorded: %v", what, got))
		case !right && omitted(what):
			if in := found(sent, evidence); in != "" {
				faults = append(faults, fmt.Sprintf("%s is declared as not sent, and is in %s", what, in))
			}
		case !right:
			hint := ""
			if in := found(sent, evidence); in != "" {
				hint = " (it is in " + in + ")"
			} else if len(evidence) > 0 {
				hint = " (the export does not have it)"
			}
			faults = append(faults, fmt.Sprintf("%s is %v, not %v%s", what, got, want, hint))
		}
	}
	truth := seen.truth
	if none := len(seen.spans()) == 0; none || omitted("spans") {
		switch {
		case !none:
			faults = append(faults, "spans are declared as not sent, and there are some")
		case !omitted("spans"):
			faults = append(faults, "nothing was exported")
		}
		return faults
	}
	all := func(values []string, want string) bool {
		return len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return v != want })
	}
	differs("inferences", got.Inferences, truth.Inferences, got.Inferences == truth.Inferences)
	differs("requests", got.Requests, *s.Requests, got.Requests == *s.Requests)
	tokens := true // the counts are right, so the cost must be
	each := mock.Each()
	plain := strconv.FormatInt(each.Input-each.CacheRead, 10)
	if truth.Tokens.CacheWrite > 0 {
		plain = strconv.FormatInt(each.Input-each.CacheRead-each.CacheWrite, 10)
	}
	parts := map[string]string{"input": plain, "output": strconv.FormatInt(each.Output-each.Reasoning, 10)} // as some count them
	if embeds := mock.Embedding(); truth.Tokens.Input%embeds == 0 && truth.Tokens.Output == 0 {
		each.Input = embeds
		delete(parts, "input")
	}
	if omitted("cache_read") { // then input excludes the cached
		delete(parts, "input")
	}
	for _, kind := range []struct {
		name            string
		got, want, once int64
	}{
		{"input", got.Tokens.Input, truth.Tokens.Input, each.Input},
		{"output", got.Tokens.Output, truth.Tokens.Output, each.Output},
		{"cache_read", got.Tokens.CacheRead, truth.Tokens.CacheRead, each.CacheRead},
		{"cache_write", got.Tokens.CacheWrite, truth.Tokens.CacheWrite, each.CacheWrite},
		{"reasoning", got.Tokens.Reasoning, truth.Tokens.Reasoning, each.Reasoning},
	} {
		if kind.want == 0 && omitted(kind.name) {
			faults = append(faults, kind.name+" is declared as not sent, and there was none")
			continue
		}
		tokens = tokens && kind.got == kind.want
		differs(kind.name, kind.got, kind.want, kind.got == kind.want, strconv.FormatInt(kind.once, 10), parts[kind.name])
	}
	if tokens && !truth.Unpriced && (got.Cost != truth.CostNanoUSD || got.Unpriced) && !omitted("inferences") {
		faults = append(faults, fmt.Sprintf("cost is %d nano-USD, not %d", got.Cost, truth.CostNanoUSD))
	}
	if s.Tools != nil {
		differs("tools", got.Tools, *s.Tools, got.Tools == *s.Tools)
	}
	for _, name := range []struct {
		what string
		got  []string
		want *string
	}{{"agent", got.Agent, s.Agent}, {"user", got.User, s.User}, {"session", got.Session, s.Session}} {
		if name.want != nil {
			differs(name.what, name.got, *name.want, all(name.got, *name.want), *name.want)
		}
	}
	differs("status", got.Status, s.Status, all(got.Status, s.Status))
	if *s.Content {
		sent = append(sent, recordsOf(seen)...)
		differs("content", "missing", "there", got.Content, "sunny in Paris")
		if len(seen.logs) > 0 {
			differs("question", "missing", "there", got.Asked || !got.Content, "weather in Paris")
		}
	}
	for _, e := range seen.exports {
		if e.status != 200 || e.message != "" {
			faults = append(faults, fmt.Sprintf("an export returned %d %s", e.status, e.message))
		}
	}
	for _, e := range seen.logs {
		if e.status != 200 || e.message != "" {
			faults = append(faults, fmt.Sprintf("an export of logs returned %d %s", e.status, e.message))
		}
	}
	if ok := seen.outcome == "ok"; ok != (s.Status == "success") {
		faults = append(faults, "the program says: "+seen.outcome)
	}
	return faults
}
