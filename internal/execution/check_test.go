package execution_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/execution"
)

var (
	noon   = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	accept = execution.Acceptance{Now: noon, Keep: 90 * 24 * time.Hour}
)

// valid returns an execution with every field set.
func valid() execution.Execution {
	return execution.Execution{
		ID: "0198c3a0-0000-7000-8000-000000000001", CreatedAt: noon.Add(-time.Minute),
		UserID: "ada", SessionID: "s-1", RequestID: "r-1", AgentName: "tutor", Kind: execution.Agent, Variant: "b",
		Status: execution.Failure, ErrorMessage: "upstream:\n\tno answer", Duration: 2500 * time.Millisecond,
		Provider: "openai", Model: "gpt-5", Request: true,
		Tokens: execution.Tokens{Input: 1000, Output: 500, CacheRead: 600, CacheWrite: 400, Reasoning: 500, Used: 1500},
	}
}

func TestCheckAccepts(t *testing.T) {
	tests := map[string]func(*execution.Execution){
		"everything": func(*execution.Execution) {},
		"the least": func(e *execution.Execution) {
			*e = execution.Execution{ID: "1", CreatedAt: noon, UserID: "u", AgentName: "a", Kind: "tool", Status: "success"}
		},
		"a timeout":        func(e *execution.Execution) { e.Kind, e.Status = execution.Inference, execution.Timeout },
		"a long id":        func(e *execution.Execution) { e.ID = strings.Repeat("x", execution.MaxID) },
		"a long user":      func(e *execution.Execution) { e.UserID = strings.Repeat("ü", execution.MaxUser/2) },
		"a long session":   func(e *execution.Execution) { e.SessionID = strings.Repeat("x", execution.MaxUser) },
		"a long request":   func(e *execution.Execution) { e.RequestID = strings.Repeat("x", execution.MaxUser) },
		"a long agent":     func(e *execution.Execution) { e.AgentName = strings.Repeat("x", execution.MaxName) },
		"a long model":     func(e *execution.Execution) { e.Model = strings.Repeat("x", execution.MaxName) },
		"a long variant":   func(e *execution.Execution) { e.Variant = strings.Repeat("x", execution.MaxName) },
		"a long provider":  func(e *execution.Execution) { e.Provider = strings.Repeat("x", execution.MaxProvider) },
		"a long error":     func(e *execution.Execution) { e.ErrorMessage = strings.Repeat("x", execution.MaxErrorMessage) },
		"names in any way": func(e *execution.Execution) { e.UserID, e.AgentName = "=1+1|<b>", "ärztin \u202e 🤖" },
		"the oldest":       func(e *execution.Execution) { e.CreatedAt = noon.Add(-accept.Keep) },
		"the furthest":     func(e *execution.Execution) { e.CreatedAt = noon.Add(execution.MaxAhead) },
		"another zone":     func(e *execution.Execution) { e.CreatedAt = noon.In(time.FixedZone("", 3600)) },
		"no time at all":   func(e *execution.Execution) { e.Duration = 0 },
		"the longest":      func(e *execution.Execution) { e.Duration = execution.MaxDuration },
		"no tokens":        func(e *execution.Execution) { e.Tokens = execution.Tokens{} },
		"a total alone":    func(e *execution.Execution) { e.Tokens = execution.Tokens{Used: 2 * execution.MaxTokens} },
		"the most tokens": func(e *execution.Execution) {
			const limit = execution.MaxTokens
			e.Tokens = execution.Tokens{Input: limit, Output: limit, CacheRead: limit, Reasoning: limit, Used: 2 * limit}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			e := valid()
			change(&e)
			if fault := e.Check(accept); fault != nil {
				t.Errorf("got %v, want no fault", fault)
			}
		})
	}
}

func TestCheckReportsTheFault(t *testing.T) {
	tooLong := func(limit int) string { return strings.Repeat("x", limit+1) }
	tests := []struct {
		name        string
		change      func(*execution.Execution)
		code, field string
	}{
		{"no id", func(e *execution.Execution) { e.ID = "" }, "missing_field", "execution_id"},
		{"no user", func(e *execution.Execution) { e.UserID = "" }, "missing_field", "user_id"},
		{"no agent", func(e *execution.Execution) { e.AgentName = "" }, "missing_field", "agent_name"},

		{"a longer id", func(e *execution.Execution) { e.ID = tooLong(execution.MaxID) }, "invalid_field", "execution_id"},
		{"a longer user", func(e *execution.Execution) { e.UserID = tooLong(execution.MaxUser) }, "invalid_field", "user_id"},
		{"a longer session", func(e *execution.Execution) { e.SessionID = tooLong(execution.MaxUser) }, "invalid_field", "session_id"},
		{"a longer request", func(e *execution.Execution) { e.RequestID = tooLong(execution.MaxUser) }, "invalid_field", "request_id"},
		{"a longer agent", func(e *execution.Execution) { e.AgentName = tooLong(execution.MaxName) }, "invalid_field", "agent_name"},
		{"a longer model", func(e *execution.Execution) { e.Model = tooLong(execution.MaxName) }, "invalid_field", "model_used"},
		{"a longer variant", func(e *execution.Execution) { e.Variant = tooLong(execution.MaxName) }, "invalid_field", "variant"},
		{"a longer provider", func(e *execution.Execution) { e.Provider = tooLong(execution.MaxProvider) }, "invalid_field", "provider"},
		{"an endless name", func(e *execution.Execution) { e.AgentName = strings.Repeat("\xff", 1<<20) }, "invalid_field", "agent_name"},

		{"NUL in the id", func(e *execution.Execution) { e.ID = "a\x00" }, "invalid_field", "execution_id"},
		{"NUL in the user", func(e *execution.Execution) { e.UserID = "\x00" }, "invalid_field", "user_id"},
		{"an escape sequence", func(e *execution.Execution) { e.AgentName = "\x1b[2J" }, "invalid_field", "agent_name"},
		{"a line break", func(e *execution.Execution) { e.Model = "gpt\n5" }, "invalid_field", "model_used"},
		{"a C1 control", func(e *execution.Execution) { e.SessionID = "\u009b2J" }, "invalid_field", "session_id"},
		{"a user not UTF-8", func(e *execution.Execution) { e.UserID = "\xff" }, "invalid_utf8", "user_id"},
		{"a provider not UTF-8", func(e *execution.Execution) { e.Provider = "\xc3" }, "invalid_utf8", "provider"},
		{"a surrogate half", func(e *execution.Execution) { e.RequestID = "\xed\xa0\x80" }, "invalid_utf8", "request_id"},

		{"too old", func(e *execution.Execution) { e.CreatedAt = noon.Add(-accept.Keep - 1) }, "too_old", "created_at"},
		{"no time", func(e *execution.Execution) { e.CreatedAt = time.Time{} }, "too_old", "created_at"},
		{"before the calendar", func(e *execution.Execution) { e.CreatedAt = time.Date(-4712, 1, 1, 0, 0, 0, 0, time.UTC) }, "too_old", "created_at"},
		{"too far ahead", func(e *execution.Execution) { e.CreatedAt = noon.Add(execution.MaxAhead + 1) }, "too_far_ahead", "created_at"},
		{"year 9999", func(e *execution.Execution) { e.CreatedAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }, "too_far_ahead", "created_at"},

		{"no kind", func(e *execution.Execution) { e.Kind = "" }, "invalid_field", "kind"},
		{"another kind", func(e *execution.Execution) { e.Kind = "Agent" }, "invalid_field", "kind"},
		{"no status", func(e *execution.Execution) { e.Status = "" }, "invalid_field", "status"},
		{"another status", func(e *execution.Execution) { e.Status = "ok\x00" }, "invalid_field", "status"},

		{"negative time", func(e *execution.Execution) { e.Duration = -1 }, "invalid_field", "execution_time_ms"},
		{"too long a time", func(e *execution.Execution) { e.Duration = execution.MaxDuration + 1 }, "invalid_field", "execution_time_ms"},
		{"the longest there is", func(e *execution.Execution) { e.Duration = 1<<63 - 1 }, "invalid_field", "execution_time_ms"},

		{"input below 0", func(e *execution.Execution) { e.Tokens = execution.Tokens{Input: -1} }, "invalid_field", "input_tokens"},
		{"output below 0", func(e *execution.Execution) { e.Tokens = execution.Tokens{Output: -1} }, "invalid_field", "output_tokens"},
		{"cache read below 0", func(e *execution.Execution) { e.Tokens = execution.Tokens{CacheRead: -1} }, "invalid_field", "cache_read_tokens"},
		{"cache write below 0", func(e *execution.Execution) { e.Tokens = execution.Tokens{CacheWrite: -1} }, "invalid_field", "cache_write_tokens"},
		{"reasoning below 0", func(e *execution.Execution) { e.Tokens = execution.Tokens{Reasoning: -1} }, "invalid_field", "reasoning_tokens"},
		{"used below 0", func(e *execution.Execution) { e.Tokens = execution.Tokens{Used: -1} }, "invalid_field", "tokens_used"},
		{"too much input", func(e *execution.Execution) { e.Tokens.Input = execution.MaxTokens + 1 }, "invalid_field", "input_tokens"},
		{"too much output", func(e *execution.Execution) { e.Tokens.Output = execution.MaxTokens + 1 }, "invalid_field", "output_tokens"},
		{"too much read", func(e *execution.Execution) { e.Tokens.CacheRead = 1<<63 - 1 }, "invalid_field", "cache_read_tokens"},
		{"too much written", func(e *execution.Execution) { e.Tokens.CacheWrite = 1<<63 - 1 }, "invalid_field", "cache_write_tokens"},
		{"too much reasoning", func(e *execution.Execution) { e.Tokens.Reasoning = 1<<63 - 1 }, "invalid_field", "reasoning_tokens"},
		{"too much used", func(e *execution.Execution) { e.Tokens.Used = 2*execution.MaxTokens + 1 }, "invalid_field", "tokens_used"},
		{"more read from the cache than read", func(e *execution.Execution) { e.Tokens.CacheRead = 601 }, "invalid_field", "input_tokens"},
		{"more reasoning than output", func(e *execution.Execution) { e.Tokens.Reasoning = 501 }, "invalid_field", "output_tokens"},
		{"a total below its parts", func(e *execution.Execution) { e.Tokens.Used = 1499 }, "invalid_field", "tokens_used"},
		{"a cache without input", func(e *execution.Execution) { e.Tokens = execution.Tokens{CacheWrite: 1, Used: 1} }, "invalid_field", "input_tokens"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := valid()
			tt.change(&e)
			fault := e.Check(accept)
			if fault == nil {
				t.Fatal("got no fault")
			}
			if fault.Code != tt.code || fault.Field != tt.field {
				t.Errorf("got %s of %s, want %s of %s", fault.Code, fault.Field, tt.code, tt.field)
			}
			if message := fault.Error(); !strings.HasPrefix(message, tt.field+": ") || len(message) > 200 || strings.ContainsAny(message, "\x00\x1b") || !utf8.ValidString(message) {
				t.Errorf("got message %q", message)
			}
		})
	}
}
