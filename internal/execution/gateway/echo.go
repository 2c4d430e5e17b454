package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/internal/text"
)

const longestDelay = time.Hour

// The default model and the provider of an echo agent.
const (
	echoModel    = "echo-1"
	echoProvider = "watchbill"
)

// echo repeats the prompt word by word. It is for trying the gateway.
type echo struct {
	delay time.Duration // before each word
}

// echoOptions simulate a slow or failing agent.
type echoOptions struct {
	fail  string        // error message; empty: it succeeds
	delay time.Duration // before its first word
}

func (echo) options(options map[string]json.RawMessage) (o echoOptions, err error) {
	if raw, ok := options["fail"]; ok && json.Unmarshal(raw, &o.fail) != nil {
		return o, badOption("fail", "must be a string")
	}
	if raw, ok := options["delay_ms"]; ok {
		var ms int64
		if json.Unmarshal(raw, &ms) != nil || ms < 0 || ms > longestDelay.Milliseconds() {
			return o, badOption("delay_ms", "must be a whole number from 0 to 3600000")
		}
		o.delay = time.Duration(ms) * time.Millisecond
	}
	return o, nil
}

func (echo) secrets() []string { return nil }

func (k echo) check(options map[string]json.RawMessage) error {
	_, err := k.options(options)
	return err
}

func (k echo) run(c *call) (a answer, err error) {
	o, err := k.options(c.options)
	if err != nil {
		return answer{}, err
	}
	words := struct {
		Input  int `json:"input"`
		Output int `json:"output"`
	}{Input: len(strings.Fields(c.prompt.Message))}
	defer func() {
		a.used.own = encode(words)
		a.used.passed(true, false, true) // it counts its output even if it failed
	}()
	if o.delay > 0 && !pause.For(c.ctx, o.delay) {
		return a, context.Cause(c.ctx)
	}
	if o.fail != "" {
		return a, failed("agent_failed", "%s", text.Clip(text.OneLine(o.fail), maxExcerpt))
	}
	for _, word := range strings.SplitAfter("You said: "+c.prompt.Message, " ") {
		if k.delay > 0 && !pause.For(c.ctx, k.delay) {
			return a, context.Cause(c.ctx)
		}
		if err := c.say(word); err != nil {
			return a, err
		}
		words.Output += len(strings.Fields(word))
	}
	a.finish = "stop"
	return a, nil
}
