package main

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/dev/history"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/text"
)

// checkHistory sets the defaults of the history's options and checks them.
func (o *devOptions) checkHistory() error {
	h := &o.history
	if h.Span == 0 {
		if h.Executions != 0 {
			return errors.New("--history-executions needs --history")
		}
		return nil
	}
	if len(o.replica.Executions.Redact) > 0 || o.replica.Executions.RedactNames {
		return errors.New("--history cannot be combined with --redact and --redact-names, which do not apply to it")
	}
	if h.Executions == 0 {
		h.Executions = history.DefaultExecutions(h.Span)
	}
	h.Agents, h.Now = o.agents, time.Now
	h.Keep, h.KeepFleet = o.replica.Executions.Retention, o.replica.Retention
	return h.Check()
}

// writeHistory writes the history, if one is wanted and the database has none.
func (o devOptions) writeHistory(ctx context.Context, std stdio, config replica.Config, logs *logging.Logs) (err error) {
	h := o.history
	if h.Span == 0 {
		return nil
	}
	if h.Prices, err = replica.Prices(config.Executions); err != nil {
		return err
	}
	h.URL, h.Log = config.DirectURL(), logs.App.Named("history")
	h.OnProgress = func(format string, args ...any) { say(std, "  "+format, args...) }
	say(std, "writing a history of %s with %d executions of AI agents …", text.Duration(h.Span), h.Executions)
	wrote, err := history.Write(ctx, h)
	switch {
	case errors.Is(err, history.ErrOther):
		return usageError(err)
	case err != nil:
		return err
	case wrote.Existed:
		say(std, "  the database has it already, up to %s", wrote.To.Format(time.RFC3339))
	default:
		say(std, "  %d executions, %d deployments and %d reports in %.1f s", wrote.Executions, wrote.Deployments, wrote.Reports, wrote.Took.Seconds())
	}
	return nil
}
