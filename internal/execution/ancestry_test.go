package execution_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
)

// below is a call of a model, of which nothing is known but where it stands in the trace.
func below(parent string, change ...func(*execution.Execution)) execution.Execution {
	e := execution.Execution{
		TraceID: "trace", SpanID: "call", ParentSpanID: parent, Kind: execution.Inference,
		AgentName: execution.Unknown, UserID: execution.Unknown, Request: true,
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func of(agent, user, session string, request bool) func(*execution.Execution) {
	return func(e *execution.Execution) {
		e.AgentName, e.UserID, e.SessionID, e.Request = agent, user, session, request
	}
}

func TestAttribute(t *testing.T) {
	t.Parallel()
	run := func(id, parent, agent, user, session string) execution.Span { // of an agent
		return execution.Span{TraceID: "trace", SpanID: id, ParentSpanID: parent, Agent: agent, User: user, Session: session, Execution: true}
	}
	step := func(id, parent string) execution.Span { // that says nothing, as one of HTTP
		return execution.Span{TraceID: "trace", SpanID: id, ParentSpanID: parent}
	}
	const unknown = execution.Unknown
	for name, tt := range map[string]struct {
		spans   []execution.Span
		came    execution.Execution
		want    func(*execution.Execution)
		missing string // the next span to look for; empty: settled
	}{
		"a root":                      {nil, below(""), of(unknown, unknown, "", true), ""},
		"a root, whatever it is":      {[]execution.Span{run("", "", "a", "u", "s")}, below(""), of(unknown, unknown, "", true), ""},
		"nothing above has come":      {nil, below("p"), of(unknown, unknown, "", true), "p"},
		"only its own span has":       {[]execution.Span{run("call", "p", "a", "u", "s")}, below("p"), of(unknown, unknown, "", true), "p"},
		"its parent, of another":      {[]execution.Span{{TraceID: "other", SpanID: "p", Agent: "a"}}, below("p"), of(unknown, unknown, "", true), "p"},
		"a root that knows all":       {[]execution.Span{run("p", "", "a", "u", "s")}, below("p"), of("a", "u", "s", false), ""},
		"one that knows all":          {[]execution.Span{run("p", "gone", "a", "u", "s")}, below("p"), of("a", "u", "s", false), ""},
		"a root that knows something": {[]execution.Span{run("p", "", "a", "", "")}, below("p"), of("a", unknown, "", false), ""},
		"one that knows something":    {[]execution.Span{run("p", "pp", "a", "", "")}, below("p"), of("a", unknown, "", false), "pp"},
		"through one that says nothing": {
			[]execution.Span{step("p", "pp"), run("pp", "", "a", "u", "s")}, below("p"), of("a", "u", "s", false), "",
		},
		"the nearest of each": {
			[]execution.Span{run("p", "pp", "near", "", ""), run("pp", "ppp", "far", "near", ""), run("ppp", "", "farther", "far", "only")},
			below("p"), of("near", "near", "only", false), "",
		},
		"what it says itself is nearer": {
			[]execution.Span{run("p", "", "a", "u", "s")}, below("p", of("mine", "me", "now", true)), of("mine", "me", "now", false), "",
		},
		"all that can be known is": {nil, below("p", of("mine", "me", "now", false)), of("mine", "me", "now", false), ""},
		"all but whether it is a request": {
			[]execution.Span{{TraceID: "trace", SpanID: "p", ParentSpanID: "pp", Agent: "a", User: "u", Session: "s"}},
			below("p"), of("a", "u", "s", true), "pp",
		},
		"nothing above is an execution": {
			[]execution.Span{step("p", "pp"), step("pp", "")}, below("p"), of(unknown, unknown, "", true), "",
		},
		"an execution that names nobody": {
			[]execution.Span{run("p", "pp", "", "", ""), step("pp", "")}, below("p"), of(unknown, unknown, "", false), "",
		},
		"one that is called unknown": {
			[]execution.Span{run("p", "pp", unknown, unknown, ""), run("pp", "", "a", "u", "s")}, below("p"), of("a", "u", "s", false), "",
		},
		"the first of several that are missing": {
			[]execution.Span{step("p", "pp"), step("ppp", "pppp")}, below("p"), of(unknown, unknown, "", true), "pp",
		},
		"the last of several that were": {[]execution.Span{step("p", "pp"), step("pp", "ppp")}, below("p"), of(unknown, unknown, "", true), "ppp"},
		"its own parent":                {[]execution.Span{step("p", "p")}, below("p"), of(unknown, unknown, "", true), ""},
		"its own child":                 {[]execution.Span{step("p", "call"), step("call", "p")}, below("p"), of(unknown, unknown, "", true), ""},
		"a circle that names one":       {[]execution.Span{step("p", "pp"), run("pp", "p", "a", "", "")}, below("p"), of("a", unknown, "", false), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ancestry := execution.Ancestry{}
			for _, s := range tt.spans {
				ancestry.Put(s)
			}
			got := tt.came
			settled, missing := ancestry.Attribute(&got)
			want := tt.came
			tt.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if settled != (tt.missing == "") || missing != tt.missing {
				t.Errorf("want %q missing, got %q, settled %v", tt.missing, missing, settled)
			}
			again := got
			if settled, missing := ancestry.Attribute(&again); settled != (tt.missing == "") || missing != tt.missing || !cmp.Equal(got, again) {
				t.Errorf("again: want no change, got %q missing, %+v", missing, again)
			}
		})
	}
}

// TestAttributeLooksSoFarUp has an agent so many spans above, of a trace that is as deep as somebody pleases.
func TestAttributeLooksSoFarUp(t *testing.T) {
	t.Parallel()
	const deepest = 64
	for depth, want := range map[int]string{
		1: "a", 2: "a", deepest - 1: "a", deepest: "a", deepest + 1: execution.Unknown, 5000: execution.Unknown,
	} {
		ancestry := execution.Ancestry{}
		for i := 1; i <= depth; i++ {
			s := execution.Span{TraceID: "trace", SpanID: fmt.Sprint("up ", i), ParentSpanID: fmt.Sprint("up ", i+1)}
			if i == depth {
				s.Agent, s.ParentSpanID = "a", ""
			}
			ancestry.Put(s)
		}
		e := below("up 1")
		if settled, missing := ancestry.Attribute(&e); !settled || e.AgentName != want {
			t.Errorf("%d above: want it to be of %s, got %s, %q missing", depth, want, e.AgentName, missing)
		}
	}
}

// TestAttributeWhateverComesFirst: what is known in the end does not depend on the order in which spans came.
func TestAttributeWhateverComesFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"", "", "x", "y", execution.Unknown})
		spans := make([]execution.Span, rapid.IntRange(0, 8).Draw(t, "depth"))
		all := execution.Ancestry{}
		for i := range spans {
			spans[i] = execution.Span{
				TraceID: "trace", SpanID: fmt.Sprint(i), Agent: name.Draw(t, "agent"), User: name.Draw(t, "user"),
				Session: name.Draw(t, "session"), Execution: rapid.Bool().Draw(t, "execution"),
			}
			if i+1 < len(spans) {
				spans[i].ParentSpanID = fmt.Sprint(i + 1)
			}
			all.Put(spans[i])
		}
		came := below("")
		if len(spans) > 0 {
			came = below("0")
		}
		want := came
		if settled, missing := all.Attribute(&want); !settled {
			t.Fatalf("with all of them: %q is missing", missing)
		}
		got, ancestry := came, execution.Ancestry{}
		settled, _ := ancestry.Attribute(&got)
		for _, s := range rapid.Permutation(spans).Draw(t, "order") {
			if settled {
				break // nothing looks again
			}
			ancestry.Put(s)
			settled, _ = ancestry.Attribute(&got)
		}
		if diff := cmp.Diff(want, got); diff != "" || !settled {
			t.Fatalf("settled %v (-all at once +one after the other):\n%s", settled, diff)
		}
	})
}
