package gateway

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Agents are the agents that a file describes. The zero value and nil are empty.
type Agents struct {
	all []*agent
}

// Len returns the number of agents.
func (a *Agents) Len() int {
	if a == nil {
		return 0
	}
	return len(a.all)
}

// Names returns the agents' names in the file's order.
func (a *Agents) Names() []string {
	names := []string{}
	if a != nil {
		for _, one := range a.all {
			names = append(names, one.name)
		}
	}
	return names
}

// agent is one of them.
type agent struct {
	name    string
	types   []string // patterns
	timeout time.Duration
	idle    time.Duration
	model   string // may be empty, as may provider
	// provider is the model's provider.
	provider string
	// traced reports whether the agent is sent a traceparent header.
	traced bool
	system string // the system prompt
	// drains reports whether the upstream is read to its end after the client left, since it reports usage at the end;
	// estimates whether missing usage is estimated.
	drains, estimates bool
	kind              kind
}

// kind runs agents of one kind.
type kind interface {
	// check returns an error for the first option that the kind does not support.
	check(options map[string]json.RawMessage) error
	// secrets returns the credentials sent to the upstream, which must not appear in a record, log or error.
	secrets() []string
	// run runs the agent. If it fails, the result has what was received before the failure.
	run(c *call) (answer, error)
}

// find returns the first agent with a pattern that matches the type, or nil.
func (a *Agents) find(promptType string) *agent {
	if a == nil {
		return nil
	}
	for _, one := range a.all {
		if slices.ContainsFunc(one.types, func(pattern string) bool { return matches(pattern, promptType) }) {
			return one
		}
	}
	return nil
}

// matches reports whether text matches a pattern in which * matches any sequence of characters.
func matches(pattern, text string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return text == pattern
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part) // the first occurrence leaves the most text for the remaining parts
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], after
	}
}
