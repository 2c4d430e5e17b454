package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/delivery"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/text"
)

// reportRun holds the flags of `watchbill report run` and its time limits. Its Pod has 15 minutes.
type reportRun struct {
	connection                               connection
	spec, jobName, tokenFile, terminationLog string

	forReport       time.Duration // to get the report, retries included
	responseTimeout time.Duration // for each response
	forAccess       time.Duration // for which 401 and 403 are retried: a renewed token may be newer than its permissions
	forDelivery     time.Duration // for all outputs together
	pause           time.Duration // after the first attempt; doubled after each, up to 30 s
	deliver         delivery.Options
}

func reportRunCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	o := reportRun{
		forReport: 5 * time.Minute, responseTimeout: 2 * time.Minute, forAccess: time.Minute, forDelivery: 4 * time.Minute, pause: time.Second,
		deliver: delivery.Options{Now: time.Now, Random: rand.Float64, UserAgent: "watchbill/" + buildVersion()},
	}
	cmd := &cobra.Command{
		Use:    "run",
		Short:  "Make a scheduled report and deliver it, as the Pods of MonitoringReports do",
		Hidden: true,
		Long: `Make the report of a MonitoringReport for the slot that its Job is for, deliver it, and write the result to the
container's termination message.

Exit status: 0 if there is a report, even if an objective is missed or a delivery failed (the message says so, and another
run would deliver again); 1 if there is no report; 2 if the spec or the command line is wrong.`,
		Example: `  watchbill report run --spec "$(cat spec.json)" --token-file token --termination-log /dev/stdout`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), newConsole(std, env))
		},
	}
	flags := cmd.Flags()
	o.connection.bind(flags)
	flags.StringVar(&o.spec, "spec", "", "what to report on and where to deliver it, as `JSON` written by the controller")
	flags.StringVar(&o.jobName, "job-name", "", "`name` of the Job, which ends in its scheduled time (default: now)")
	flags.StringVar(&o.tokenFile, "token-file", "", "`file` that holds the ServiceAccount's token for the API")
	flags.StringVar(&o.terminationLog, "termination-log", "/dev/termination-log", "`file` to write the result to, for the controller")
	return cmd
}

// run writes a result in every case.
func (o *reportRun) run(ctx context.Context, c console) error {
	result, err := o.make(ctx, c)
	if err != nil {
		result = reportjob.Result{Error: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	result.CompletedAt = time.Now()
	if fault := os.WriteFile(o.terminationLog, result.Encode(), 0o644); fault != nil {
		c.note("cannot write the result for the controller: %v", fault)
	}
	return err
}

// make creates the report and delivers it. It returns an error if there is no report.
func (o *reportRun) make(ctx context.Context, c console) (reportjob.Result, error) {
	var wrong faults
	spec, err := reportjob.ParseSpec(o.spec, time.Now())
	var fields report.FieldErrors
	if errors.As(err, &fields) {
		for _, fault := range fields {
			wrong.add(true, "--spec", "%s: %s", fault.Field, fault.Problem)
		}
	} else {
		wrong.keep("--spec", err)
	}
	wrong.add(o.tokenFile == "", "--token-file", "is required")
	transport := o.connection.transport(&wrong)
	if err := wrong.err(); err != nil {
		return reportjob.Result{}, err
	}
	slot := reportjob.Slot(o.jobName, time.Now())
	window, err := spec.Covers(slot)
	if err != nil {
		return reportjob.Result{}, usageError(err)
	}
	doc, err := o.create(ctx, c, transport, spec.Request(window))
	if err != nil {
		return reportjob.Result{}, err
	}
	result := reportjob.FromDocument(doc)
	c.note("report %s, of %s to %s: %s", text.OneLine(doc.ID), window.From.Format(time.RFC3339), window.To.Format(time.RFC3339), text.OneLine(result.Summary))

	ctx, cancel := context.WithTimeout(ctx, o.forDelivery)
	defer cancel()
	result.Outputs = delivery.Deliver(ctx, delivery.Report{Spec: spec, Slot: slot, Document: doc}, o.deliver)
	for _, output := range result.Outputs {
		switch {
		case !output.Delivered:
			c.note("%s: not delivered: %s", output.Output, output.Message)
		case output.Message != "":
			c.note("%s: delivered, but %s", output.Output, output.Message)
		default:
			c.note("%s: delivered", output.Output)
		}
	}
	return result, nil
}

// create requests the report until it has one, a retry would not help, or the time is over.
func (o *reportRun) create(ctx context.Context, c console, transport *http.Transport, input report.Input) (report.Document, error) {
	request, err := json.Marshal(input)
	if err != nil {
		return report.Document{}, fmt.Errorf("encode the request: %w", err)
	}
	api := newClient(&exchange{
		server: strings.TrimSuffix(o.connection.server, "/"), tokenKind: "token", tokenSource: "the Pod's ServiceAccount", timeout: o.responseTimeout,
	}, transport)
	defer api.close()
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, o.forReport)
	defer cancel()
	last := errors.New("the server does not respond")
	for pause := o.pause; ; pause = min(2*pause, 30*time.Second) {
		doc, err := o.ask(limited, api, request)
		switch {
		case err == nil:
			return doc, nil
		case ctx.Err() != nil:
			return report.Document{}, errors.New("stopped before there was a report")
		case limited.Err() != nil:
			return report.Document{}, fmt.Errorf("no report within %s: %w", text.Duration(o.forReport), last)
		case !passing(err, time.Since(began) < o.forAccess):
			return report.Document{}, err
		}
		last = err
		wait := time.Duration(float64(max(pause, retryAfter(err))) * (0.5 + o.deliver.Random()))
		c.note("%v; retrying", err)
		select {
		case <-time.After(wait):
		case <-limited.Done():
		}
	}
}

// ask sends one request, with the current token.
func (o *reportRun) ask(ctx context.Context, api *client, request []byte) (report.Document, error) {
	token, err := readToken("", o.tokenFile)
	if err != nil {
		return report.Document{}, &tokenFault{err}
	}
	api.exchange.token = token
	doc, err := decoded[report.Document](read(api.CreateReportWithBody(ctx, "application/json", bytes.NewReader(request))))
	if err == nil {
		err = checkDocument(doc)
	}
	return doc, err
}

// tokenFault is returned if the token cannot be read.
type tokenFault struct{ err error }

func (t *tokenFault) Error() string { return fmt.Sprintf("the token cannot be read: %v", t.err) }
func (t *tokenFault) Unwrap() error { return t.err }

// passing reports whether a retry may help. early is whether the token may not be known to the server yet.
func passing(err error, early bool) bool {
	var (
		away    *unreachable
		refused *refusal
		token   *tokenFault
	)
	switch {
	case errors.As(err, &token):
		return early
	case errors.As(err, &away):
		return away.temporary()
	case errors.As(err, &refused):
		switch refused.problem.Status {
		case http.StatusUnauthorized, http.StatusForbidden:
			return early
		case http.StatusBadRequest:
			return refused.ahead()
		}
		return refused.temporary()
	}
	return false
}

// ahead reports whether the only fault is the window's end. It is a valid time, so it must be in the future by the
// server's clock.
func (r *refusal) ahead() bool {
	for _, fault := range r.problem.Errors {
		if fault.Field != "to" {
			return false
		}
	}
	return len(r.problem.Errors) > 0 || r.problem.Field == "to"
}

// retryAfter returns the server's Retry-After, or 0 if it has none.
func retryAfter(err error) time.Duration {
	var refused *refusal
	if errors.As(err, &refused) {
		return min(refused.retryAfter, time.Minute)
	}
	return 0
}
