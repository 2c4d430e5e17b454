package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/text"
)

// Encode encodes a result as a termination message of at most MaxMessage bytes. If it is too long, it first shortens the
// outputs' messages, then drops objectives: met ones, then those without data, then missed ones. Outputs are dropped last.
// The result counts what was dropped; shortened texts end in "…".
func (r Result) Encode() []byte {
	r = r.tidy()
	message := func() []byte {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)  // which writes < as \u003c
		if encoder.Encode(r) != nil { // cannot happen after tidy
			return nil
		}
		return bytes.TrimSpace(b.Bytes())
	}
	content := message()
	for _, smaller := range r.reductions() {
		for len(content) > MaxMessage && smaller(&r) {
			content = message()
		}
	}
	return content
}

// reductions make a result smaller. Each is repeated until it returns false.
func (r Result) reductions() []func(*Result) bool {
	all := []func(*Result) bool{}
	for _, limit := range []int{400, 200, 100, 50} {
		all = append(all, once(func(r *Result) {
			for i := range r.Outputs {
				r.Outputs[i].Message = text.Fit(r.Outputs[i].Message, limit)
			}
		}))
	}
	return append(
		all,
		withoutLast(func(o Objective) bool { return o.Met != nil && *o.Met }),
		withoutLast(func(o Objective) bool { return o.Met == nil }),
		once(func(r *Result) {
			r.Summary, r.Error = text.Fit(r.Summary, 400), text.Fit(r.Error, 400)
			for i := range r.Outputs {
				r.Outputs[i].Output = text.Fit(r.Outputs[i].Output, 100)
			}
		}),
		withoutLast(func(Objective) bool { return true }),
		func(r *Result) bool {
			if len(r.Outputs) == 0 {
				return false
			}
			r.Outputs, r.OutputsLeftOut = r.Outputs[:len(r.Outputs)-1], r.OutputsLeftOut+1
			return true
		},
		once(func(r *Result) {
			r.ReportID, r.Verdict = text.Fit(r.ReportID, 64), report.Verdict(text.Fit(string(r.Verdict), 64))
		}),
	)
}

func once(change func(*Result)) func(*Result) bool {
	done := false
	return func(r *Result) bool {
		if done {
			return false
		}
		done = true
		change(r)
		return true
	}
}

// withoutLast drops the last objective for which sort returns true.
func withoutLast(sort func(Objective) bool) func(*Result) bool {
	return func(r *Result) bool {
		for i := len(r.Objectives) - 1; i >= 0; i-- {
			if sort(r.Objectives[i]) {
				r.Objectives = slices.Delete(r.Objectives, i, i+1)
				r.ObjectivesLeftOut++
				return true
			}
		}
		return false
	}
}

// tidy returns a copy that can be encoded as JSON, with texts on one line.
func (r Result) tidy() Result {
	for _, text := range []*string{&r.ReportID, (*string)(&r.Verdict), &r.Summary, &r.Error} {
		*text = OneLine(*text)
	}
	r.CompletedAt = writable(r.CompletedAt)
	if r.Window != nil {
		r.Window = &report.Window{From: writable(r.Window.From), To: writable(r.Window.To)}
	}
	r.Objectives = slices.Clone(r.Objectives)
	for i := range r.Objectives {
		o := &r.Objectives[i]
		o.Name, o.Target, o.Actual, o.BudgetRemaining = OneLine(o.Name), OneLine(o.Target), OneLine(o.Actual), OneLine(o.BudgetRemaining)
	}
	r.Outputs = slices.Clone(r.Outputs)
	for i := range r.Outputs {
		r.Outputs[i].Output, r.Outputs[i].Message = OneLine(r.Outputs[i].Output), OneLine(r.Outputs[i].Message)
	}
	return r
}

// writable returns a time that RFC 3339 can express, to the second; other times become zero.
func writable(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// OneLine returns a text on one line without control and invisible characters.
func OneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, s))
}

// DecodeResult decodes a termination message. The message is not trusted: anyone who may create Pods in the namespace could
// have written it.
func DecodeResult(message string) (Result, error) {
	if len(message) > MaxMessage {
		return Result{}, fmt.Errorf("the result is over %d bytes", MaxMessage)
	}
	var r Result
	if err := json.Unmarshal([]byte(message), &r); err != nil {
		return Result{}, fmt.Errorf("the result cannot be read: %w", err)
	}
	r = r.tidy()
	if err := r.check(); err != nil {
		return Result{}, fmt.Errorf("the result is invalid: %w", err)
	}
	return r, nil
}

func (r Result) check() error {
	switch r.Verdict {
	case report.Pass, report.Fail, report.NoData:
		if r.ReportID == "" && r.Error == "" {
			return errors.New("it has a verdict and no report")
		}
	case "":
		if r.Error == "" {
			return errors.New("it has neither a verdict nor an error")
		}
	default:
		return fmt.Errorf("its verdict is %s", text.Quote(string(r.Verdict), 40))
	}
	if r.Window != nil && !r.Window.From.Before(r.Window.To) {
		return errors.New("its window ends before it begins")
	}
	if len(r.Objectives) > objective.MaxCount || len(r.Outputs) > MaxOutputs || r.ObjectivesLeftOut < 0 || r.OutputsLeftOut < 0 {
		return errors.New("it has too many objectives or outputs, or too few")
	}
	names := map[string]bool{}
	for _, o := range r.Objectives {
		if !label.MatchString(o.Name) || names[o.Name] {
			return fmt.Errorf("it has an objective of the name %s, or two", text.Quote(o.Name, 40))
		}
		names[o.Name] = true
	}
	return nil
}
