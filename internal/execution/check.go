package execution

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/text"
)

// Limits of an execution's fields.
const (
	MaxID           = 128 // bytes, of execution_id
	MaxUser         = 256 // bytes, of user_id, session_id and request_id
	MaxName         = 128 // bytes, of agent_name, model_used and variant
	MaxProvider     = 64  // bytes
	MaxErrorMessage = 8 << 10
	MaxWord         = 32            // bytes, of service_tier and region
	MaxTokens       = 1_000_000_000 // of each kind
	MaxDuration     = 30 * 24 * time.Hour
	// MaxAhead is how far in the future an execution's start may be, since clocks differ.
	MaxAhead = 10 * time.Minute
)

// Fault is why an execution was rejected.
type Fault struct {
	Code   string // stable, snake_case, part of the API
	Field  string // its name in the API
	Detail string // one sentence for people
}

// FaultErased is the fault of an execution whose user was erased after it began.
var FaultErased = Fault{Code: CodeErased, Field: "user_id", Detail: "was erased after this began"}

// CodeErased is FaultErased's code.
const CodeErased = "user_erased"

func (f *Fault) Error() string { return f.Field + ": " + f.Detail }

func faulty(code, field, format string, args ...any) *Fault {
	return &Fault{Code: code, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Acceptance is the range of accepted start times.
type Acceptance struct {
	Now  time.Time
	Keep time.Duration // retention; executions that began earlier are rejected
}

// Check returns the first fault of an execution, or nil if it can be stored.
func (e *Execution) Check(a Acceptance) *Fault {
	fault := cmp.Or(
		checkName("execution_id", e.ID, MaxID, true),
		checkName("user_id", e.UserID, MaxUser, true),
		checkName("agent_name", e.AgentName, MaxName, true),
		checkName("session_id", e.SessionID, MaxUser, false),
		checkName("request_id", e.RequestID, MaxUser, false),
		checkName("model_used", e.Model, MaxName, false),
		checkName("provider", e.Provider, MaxProvider, false),
		checkName("variant", e.Variant, MaxName, false),
		e.checkTime(a),
	)
	if fault != nil {
		return fault
	}
	switch e.Kind {
	case Agent, Inference, Tool:
	default:
		return faulty("invalid_field", "kind", "must be agent, inference or tool")
	}
	switch e.Status {
	case Success, Failure, Timeout:
	default:
		return faulty("invalid_field", "status", "must be success, failure or timeout")
	}
	if e.Duration < 0 || e.Duration > MaxDuration {
		return faulty("invalid_field", "execution_time_ms", "must be from 0 to %d", MaxDuration.Milliseconds())
	}
	if fault := e.Tokens.check(); fault != nil {
		return fault
	}
	return e.Billing.check(e.Tokens)
}

func (e *Execution) checkTime(a Acceptance) *Fault {
	switch {
	case e.CreatedAt.Before(a.Now.Add(-a.Keep)):
		return faulty("too_old", "created_at", "is longer ago than the %s for which executions are kept", days(a.Keep))
	case e.CreatedAt.After(a.Now.Add(MaxAhead)):
		return faulty("too_far_ahead", "created_at", "is more than %s in the future", text.Duration(MaxAhead))
	}
	return nil
}

// days formats a duration in days if it is a whole number of them.
func days(d time.Duration) string {
	if d >= DayWide && d%DayWide == 0 {
		return fmt.Sprintf("%d days", d/DayWide)
	}
	return text.Duration(d)
}

func (t Tokens) check() *Fault {
	for _, count := range []struct {
		field    string
		n, limit int64
	}{
		{"input_tokens", t.Input, MaxTokens},
		{"output_tokens", t.Output, MaxTokens},
		{"cache_read_tokens", t.CacheRead, MaxTokens},
		{"cache_write_tokens", t.CacheWrite, MaxTokens},
		{"reasoning_tokens", t.Reasoning, MaxTokens},
		{"tokens_used", t.Used, 2 * MaxTokens}, // input and output
	} {
		if count.n < 0 || count.n > count.limit {
			return faulty("invalid_field", count.field, "must be from 0 to %d", count.limit)
		}
	}
	switch {
	case t.CacheRead+t.CacheWrite > t.Input:
		return faulty("invalid_field", "input_tokens", "includes the cached ones, so it cannot be less than cache_read_tokens and cache_write_tokens")
	case t.Used < t.Input+t.Output:
		return faulty("invalid_field", "tokens_used", "cannot be less than input_tokens and output_tokens together")
	case t.Reasoning > t.Output:
		return faulty("invalid_field", "output_tokens", "includes reasoning_tokens, so it cannot be less")
	}
	return nil
}

// check returns the first fault of the billing. Its counts are parts of those of t.
func (b Billing) check(t Tokens) *Fault {
	if b == (Billing{}) {
		return nil
	}
	for _, part := range []struct {
		field    string
		n, whole int64
		of       string
	}{
		{"cache_write_1h_tokens", b.CacheWrite1h, t.CacheWrite, "cache_write_tokens"},
		{"audio_input_tokens", b.AudioInput, t.Input, "input_tokens"},
		{"audio_output_tokens", b.AudioOutput, t.Output, "output_tokens"},
		{"audio_cache_read_tokens", b.AudioCacheRead, t.CacheRead, "cache_read_tokens"},
		{"image_input_tokens", b.ImageInput, t.Input, "input_tokens"},
		{"image_output_tokens", b.ImageOutput, t.Output, "output_tokens"},
	} {
		if part.n < 0 || part.n > part.whole {
			return faulty("invalid_field", part.field, "must be from 0 to %s", part.of)
		}
	}
	if fault := checkName("service_tier", b.ServiceTier, MaxWord, false); fault != nil {
		return fault
	}
	return checkName("region", b.Region, MaxWord, false)
}

// IsPlain reports whether a text is printable ASCII, as nearly all names are.
func IsPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func checkName(field, value string, limit int, required bool) *Fault {
	switch {
	case required && value == "":
		return faulty("missing_field", field, "is required")
	case len(value) > limit:
		return faulty("invalid_field", field, "must be at most %d bytes", limit)
	case IsPlain(value):
	case !utf8.ValidString(value):
		return faulty("invalid_utf8", field, "must be valid UTF-8")
	case strings.ContainsFunc(value, unicode.IsControl):
		return faulty("invalid_field", field, "must not contain control characters")
	}
	return nil
}
