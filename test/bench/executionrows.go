package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// The agents, models and users of the generated executions. Each agent calls two of the models, and only some of the
// users are active at a time.
const (
	madeAgents = 20
	madeUsers  = 2000
	usersAtOne = 100 // active in a quarter of an hour
)

var madeModels = []string{"gpt-4o-mini", "gpt-4o", "claude-3-5-haiku-20241022", "claude-sonnet-4-20250514", "mistral-large-2411", "house-model-7b"}

// unpricedModel is the index of the model without a price in madeModels.
const unpricedModel = 5

// made returns the n-th execution of a series. It depends on both only, so that it can be generated again. It resembles
// real executions, including small payloads; one in 16 is a use of a tool and one in 20 fails.
func made(series string, n int64, at time.Time) execution.Row {
	h := scrambled(uint64(n) + 1)
	agent := int(h % madeAgents)
	h /= madeAgents
	model := (agent + int(h%2)*3) % len(madeModels)
	h /= 2
	quarter := at.Unix() / int64(execution.QuarterWide/time.Second)
	user := (uint64(quarter)*37 + h%usersAtOne) % madeUsers
	h /= usersAtOne
	h = scrambled(h)
	in, out := int64(200+h%3000), int64(20+h/3000%700)
	e := execution.Execution{
		ID: series + "-" + strconv.FormatInt(n, 10), CreatedAt: at, UserID: fmt.Sprintf("user-%04d", user),
		SessionID: "session-" + strconv.FormatInt(quarter, 10), AgentName: fmt.Sprintf("agent_%02d", agent),
		Kind: execution.Inference, Request: true, Status: execution.Success, Duration: madeDuration(agent, h>>24),
		Provider: "made", Model: madeModels[model], PriceVersion: "made",
		Tokens: execution.Tokens{Input: in, Output: out, CacheRead: in / 4, Reasoning: out / 3, Used: in + out},
		Input:  json.RawMessage(`{"type": "flashcard_topic", "message": "Explain how a leap second is put into a day, in three sentences, for a student."}`),
		Output: json.RawMessage(`{"text": "Now and then a day gets one second more, so that clocks keep pace with the Earth. It is announced half a year before.", "finish_reason": "stop"}`),
	}
	e.RequestID = e.ID
	if model != unpricedModel {
		cost := in*150 + out*600
		e.Cost = &cost
	}
	switch h >> 8 % 320 {
	case 0, 1, 2, 3:
		e.Status, e.ErrorMessage = execution.Timeout, "no answer in time"
	case 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15:
		e.Status, e.ErrorMessage = execution.Failure, "the model is overloaded"
	case 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35:
		e.Kind, e.Request, e.Model, e.Cost, e.Tokens = execution.Tool, false, "", nil, execution.Tokens{}
	}
	return execution.Row{Execution: e}
}

// madeDuration returns a duration with a long tail, as model calls have. Each agent has its own mean.
func madeDuration(agent int, h uint64) time.Duration {
	uniform := (float64(h%(1<<20)) + 0.5) / (1 << 20)
	seconds := (0.3 + 0.1*float64(agent)) * math.Pow(-math.Log(uniform), 1.3)
	return time.Duration(seconds*1e6) * time.Microsecond
}

// scrambled is splitmix64's step, a hash that spreads consecutive numbers.
func scrambled(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const copyColumns = `user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant, status,
	error_message, execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens,
	cache_write_tokens, reasoning_tokens, cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped, input_data, output_data`

// appendCopy appends a row in COPY's text format. No generated value needs an escape.
func appendCopy(b []byte, r *execution.Row) []byte {
	text := func(s string) { b = append(append(b, s...), '\t') }
	number := func(n int64) { b = append(strconv.AppendInt(b, n, 10), '\t') }
	text(r.UserID)
	b = append(r.CreatedAt.AppendFormat(b, "2006-01-02T15:04:05.999999Z"), '\t')
	for _, s := range []string{r.ID, r.SessionID, r.RequestID, r.AgentName, string(r.Kind), strconv.FormatBool(r.Request), r.Variant, string(r.Status), r.ErrorMessage} {
		text(s)
	}
	b = append(strconv.AppendFloat(b, float64(r.Duration.Microseconds())/1e3, 'f', -1, 64), '\t')
	text(r.Provider)
	text(r.Model)
	t := r.Tokens
	for _, n := range []int64{t.Used, t.Input, t.Output, t.CacheRead, t.CacheWrite, t.Reasoning} {
		number(n)
	}
	if r.Cost == nil {
		text(`\N`)
	} else {
		number(*r.Cost)
	}
	for _, s := range []string{r.PriceVersion, r.TraceID, r.SpanID, r.ParentSpanID} {
		text(s)
	}
	number(int64(r.Capped))
	payload := func(content json.RawMessage, end byte) {
		if content == nil {
			content = json.RawMessage(`\N`)
		}
		b = append(append(b, content...), end)
	}
	payload(r.Input, '\t')
	payload(r.Output, '\n')
	return b
}

// wireExecution is an execution as clients send it.
type wireExecution struct {
	ID         string          `json:"execution_id"`
	CreatedAt  time.Time       `json:"created_at"`
	UserID     string          `json:"user_id"`
	SessionID  string          `json:"session_id"`
	AgentName  string          `json:"agent_name"`
	Kind       execution.Kind  `json:"kind"`
	Input      json.RawMessage `json:"input_data"`
	Output     json.RawMessage `json:"output_data"`
	Millis     float64         `json:"execution_time_ms"`
	InTokens   int64           `json:"input_tokens"`
	OutTokens  int64           `json:"output_tokens"`
	CacheRead  int64           `json:"cache_read_tokens"`
	Reasoning  int64           `json:"reasoning_tokens"`
	Model      string          `json:"model_used"`
	Provider   string          `json:"provider"`
	Status     string          `json:"status"`
	ErrMessage string          `json:"error_message,omitempty"`
}

// batchBody returns the body of a request with executions from, from+1, … of a series, at intervals of a microsecond.
func batchBody(series string, from int64, count int, began time.Time) ([]byte, error) {
	var body struct {
		Executions []wireExecution `json:"executions"`
	}
	for n := from; n < from+int64(count); n++ {
		r := made(series, n, began.Add(time.Duration(n)*time.Microsecond))
		body.Executions = append(body.Executions, wireExecution{
			ID: r.ID, CreatedAt: r.CreatedAt, UserID: r.UserID, SessionID: r.SessionID, AgentName: r.AgentName, Kind: r.Kind,
			Input: r.Input, Output: r.Output, Millis: float64(r.Duration.Microseconds()) / 1e3, InTokens: r.Tokens.Input, OutTokens: r.Tokens.Output,
			CacheRead: r.Tokens.CacheRead, Reasoning: r.Tokens.Reasoning, Model: r.Model, Provider: r.Provider,
			Status: string(r.Status), ErrMessage: r.ErrorMessage,
		})
	}
	return json.Marshal(body)
}

// madeNames returns the names of the agents and models.
func madeNames() (agents, models []string) {
	for agent := range madeAgents {
		agents = append(agents, fmt.Sprintf("agent_%02d", agent))
	}
	return agents, slices.Clone(madeModels)
}
