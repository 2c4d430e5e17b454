package ingest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
)

func TestUsageCompleteness(t *testing.T) {
	t.Parallel()
	const unknown, reported, estimated, none = execution.UsageUnknown, execution.UsageReported, execution.UsageEstimated, execution.UsageNone
	for more, want := range map[string]struct {
		usage execution.Usage
		field string // the invalid field, if any
	}{
		`"status":"success"`:                                                                    {none, ""},
		`"status":"success","model_used":"gpt-4o"`:                                              {unknown, ""},
		`"status":"success","kind":"inference"`:                                                 {unknown, ""},
		`"status":"success","kind":"tool","model_used":"gpt-4o"`:                                {none, ""},
		`"status":"success","model_used":"gpt-4o","tokens_used":0`:                              {unknown, ""},
		`"status":"success","model_used":"gpt-4o","tokens_used":0,"usage":"reported"`:           {reported, ""},
		`"status":"success","model_used":"gpt-4o","usage":"none"`:                               {none, ""},
		`"status":"success","model_used":"gpt-4o","usage":null`:                                 {unknown, ""},
		`"status":"success","model_used":"gpt-4o","input_tokens":5.0`:                           {reported, ""},
		`"status":"success","input_tokens":5,"usage":"estimated"`:                               {estimated, ""},
		`"status":"failure","model_used":"gpt-4o"`:                                              {none, ""},
		`"status":"failure","model_used":"gpt-4o","output_data":{"text":"He"}`:                  {unknown, ""},
		`"status":"failure","model_used":"gpt-4o","usage":"unknown"`:                            {unknown, ""},
		`"status":"timeout","model_used":"gpt-4o"`:                                              {unknown, ""},
		`"status":"timeout","model_used":"gpt-4o","usage":{}`:                                   {unknown, ""},
		`"status":"success","usage":{"prompt_tokens":5}`:                                        {reported, ""},
		`"status":"success","input_tokens":5,"usage":"unknown"`:                                 {unknown, ""},
		`"status":"success","model_used":"gpt-4o","input_tokens":5`:                             {reported, ""},
		`"status":"failure","model_used":"gpt-4o","input_tokens":5`:                             {unknown, ""},
		`"status":"timeout","model_used":"gpt-4o","input_tokens":5,"output_tokens":0`:           {unknown, ""},
		`"status":"timeout","model_used":"gpt-4o","input_tokens":5,"usage":"reported"`:          {reported, ""},
		`"status":"timeout","model_used":"gpt-4o","input_tokens":5,"output_tokens":1`:           {reported, ""},
		`"status":"failure","model_used":"gpt-4o","tokens_used":5`:                              {reported, ""},
		`"status":"failure","model_used":"gpt-4o","usage":{"input_tokens":5}`:                   {unknown, ""},
		`"status":"success","input_tokens":5,"usage":"none"`:                                    {"", "usage"},
		`"status":"success","usage":"estimated"`:                                                {"", "usage"},
		`"status":"success","usage":"some"`:                                                     {"", "usage"},
		`"status":"success","usage":5`:                                                          {"", "usage"},
		`"status":"success","usage":[]`:                                                         {"", "usage"},
		`"status":"success","input_tokens":5.5`:                                                 {"", "input_tokens"},
		`"status":"success","provider_cost_usd":-1`:                                             {"", "provider_cost_usd"},
		`"status":"success","provider_cost_usd":1e9`:                                            {"", "provider_cost_usd"},
		`"status":"success","provider_cost_usd":"1"`:                                            {"", "provider_cost_usd"},
		`"status":"success","service_tier":"so cheap"`:                                          {"", "service_tier"},
		`"status":"success","region":"us-east-1-and-a-name-that-is-much-too-long-for-a-region"`: {"", "region"},
		`"status":"success","cache_write_1h_tokens":1.5`:                                        {"", "cache_write_1h_tokens"},
	} {
		e, fault := readOne([]byte(`{"user_id":"u","agent_name":"a",` + more + `}`))
		switch {
		case want.field == "" && fault != nil, want.field != "" && (fault == nil || fault.Field != want.field):
			t.Errorf("%s: refused as %v", more, fault)
		case fault == nil && e.Usage != want.usage:
			t.Errorf("%s: usage %q, want %q", more, e.Usage, want.usage)
		}
	}
}

// The caller's own counts take precedence over the provider's object, which supplies only what the caller left out.
func TestExplicitCountsTakePrecedence(t *testing.T) {
	t.Parallel()
	e, fault := readOne([]byte(`{"user_id":"u","agent_name":"a","status":"success","input_tokens":7,"output_tokens":3,"provider_cost_usd":0,
		"usage":{"prompt_tokens":100,"completion_tokens":20,"cost":0.5,"service_tier":"flex","mystery_tokens":9}}`))
	if fault != nil {
		t.Fatal(fault)
	}
	want := accounted{execution.Tokens{Input: 7, Output: 3}, execution.Billing{ServiceTier: "flex"}, execution.UsageReported, new(int64(0))}
	if diff := cmp.Diff(want, accountOf(e)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnknownCountsAreReported(t *testing.T) {
	t.Parallel()
	reader := newExecutionReader()
	body := `{"user_id":"u","agent_name":"a","status":"success","usage":{"prompt_tokens":100,"mystery_tokens":9,"details":{"riddle_tokens":0}}}`
	if fault := reader.read([]byte(body), &execution.Execution{}); fault != nil {
		t.Fatal(fault)
	}
	if diff := cmp.Diff([]string{"usage.mystery_tokens"}, reader.usage.unread); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
