package gateway

import (
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
)

// The data of a run's events.

type startedData struct {
	ExecutionID string `json:"execution_id"`
	RequestID   string `json:"request_id,omitempty"`
	AgentName   string `json:"agent_name"`
	Model       string `json:"model,omitempty"`
}

type deltaData struct {
	Text string `json:"text"`
}

type completedData struct {
	ExecutionID  string           `json:"execution_id"`
	Status       execution.Status `json:"status"`
	Output       any              `json:"output"` // a string, or the JSON that the agent returned
	FinishReason string           `json:"finish_reason,omitempty"`
	usageData
}

type errorData struct {
	ExecutionID       string           `json:"execution_id"`
	Status            execution.Status `json:"status"`
	Code              string           `json:"code"`
	Message           string           `json:"message"`
	RetryAfterSeconds int64            `json:"retry_after_seconds,omitzero"`
	usageData
}

// usageData is the usage of a run.
type usageData struct {
	Model      string       `json:"model,omitempty"`
	Provider   string       `json:"provider,omitempty"`
	Tokens     tokensData   `json:"tokens"`
	TokensUsed int64        `json:"tokens_used"`
	DurationMS float64      `json:"duration_ms"`
	CostUSD    *openapi.USD `json:"cost_usd"` // null if unknown
	// Usage is set if the tokens are unknown or estimated. It is empty if the upstream reported them or no model ran.
	Usage execution.Usage `json:"usage,omitempty"`
}

type tokensData struct {
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Reasoning  int64 `json:"reasoning"`
}

func usageOf(e execution.Execution) usageData {
	u := usageData{
		Model: e.Model, Provider: e.Provider, TokensUsed: e.Tokens.Used, DurationMS: float64(e.Duration.Microseconds()) / 1e3,
		Tokens: tokensData{
			Input: e.Tokens.Input, Output: e.Tokens.Output,
			CacheRead: e.Tokens.CacheRead, CacheWrite: e.Tokens.CacheWrite, Reasoning: e.Tokens.Reasoning,
		},
	}
	if e.Usage == execution.UsageUnknown || e.Usage == execution.UsageEstimated {
		u.Usage = e.Usage
	}
	if e.Cost != nil {
		u.CostUSD = new(openapi.USD(*e.Cost))
	}
	return u
}

func (r *run) started() execution.Event {
	return execution.Event{Name: "started", Data: startedData{
		ExecutionID: r.execution.ID, RequestID: r.execution.RequestID, AgentName: r.agent.name, Model: r.agent.model,
	}}
}

func deltaEvent(text string) execution.Event {
	return execution.Event{Name: "delta", Data: deltaData{text}}
}

// last returns the final event of a run recorded as e.
func last(e execution.Execution, done result, fault *failure) execution.Event {
	if fault == nil {
		var output any = done.text
		if done.output != nil {
			output = done.output
		}
		return execution.Event{Name: "completed", Data: completedData{
			ExecutionID: e.ID, Status: e.Status, Output: output, FinishReason: done.finish, usageData: usageOf(e),
		}}
	}
	return execution.Event{Name: "error", Data: errorData{
		ExecutionID: e.ID, Status: e.Status, Code: fault.code, Message: fault.message,
		RetryAfterSeconds: int64((fault.retryAfter + time.Second - 1) / time.Second), usageData: usageOf(e),
	}}
}
