package gateway

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Agents are those that a file describes. The zero value, and nil, has none.
type Agents struct {
	all []*agent
}

// Len is how many there are.
func (a *Agents) Len() int {
	if a == nil {
		return 0
	}
	return len(a.all)
}

// Names are the agents' names, in the file's order.
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
	// provider is whose the model is.
	provider string
	// traced says that it is told of what trace its run is a part.
	traced bool
	system string // what a model is told before the prompt
	// drains says that the upstream is read to its end when the client left, for it tells what was used at its end; estimates
	// that what an upstream does not tell is estimated.
	drains, estimates bool
	kind              kind
}

// kind is how an agent is run.
type kind interface {
	// check finds the first option that such an agent cannot be given.
	check(options map[string]json.RawMessage) error
	// secrets are what the upstream is told and must come into no record, log or error.
	secrets() []string
	// run has the agent answer. What it finds out until it fails is in its answer, too.
	run(c *call) (answer, error)
}

// find is the first agent with a pattern that the type matches; nil if there is none.
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

// matches says whether a text is what a pattern says, in which * stands for any characters, or none.
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
		i := strings.Index(text, part) // the first place is the best: it leaves the most for what follows
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], after
	}
}
