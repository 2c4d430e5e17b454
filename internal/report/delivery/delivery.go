// Package delivery delivers reports to their outputs: files on a volume, objects in a bucket, webhooks. Outputs are
// independent of each other. Each delivery ends in an outcome with a message, never in an error: a report is not lost
// because an output is unreachable. Outcomes contain no secrets.
package delivery

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/text"
)

// Report is a report with the spec that lists its outputs.
type Report struct {
	Spec     reportjob.Spec
	Slot     time.Time // the slot of the report
	Document report.Document
}

// Options are the settings of deliveries.
type Options struct {
	Now       func() time.Time
	Random    func() float64 // returns numbers in [0, 1); spreads the retries of many Pods
	UserAgent string
	// MayQuote reports whether an outcome may quote the response of a server at an address. By default responses over https
	// and from public addresses may be quoted.
	MayQuote  func(scheme string, addr netip.Addr) bool
	Transport *http.Transport // to webhooks and stores; optional. Its idle connections are closed at the end

	// Tries per output. Default 3, of at most 30 s each, with pauses of about 1 s and 2 s.
	Tries int
	Try   time.Duration
	Pause time.Duration

	through guard
}

// Deliver delivers a report to all outputs of its spec concurrently. Outcomes are in the spec's order.
func Deliver(ctx context.Context, r Report, o Options) []reportjob.OutputOutcome {
	o.Tries, o.Try, o.Pause = cmp.Or(o.Tries, 3), cmp.Or(o.Try, 30*time.Second), cmp.Or(o.Pause, time.Second)
	if o.Transport == nil {
		o.Transport = http.DefaultTransport.(*http.Transport).Clone()
		o.Transport.MaxResponseHeaderBytes = 64 << 10
	}
	defer o.Transport.CloseIdleConnections()
	allowed, err := reportjob.ParseAllowed(r.Spec.AllowedOutputs)
	o.through = newGuard(o.Transport, allowed)
	outcomes := make([]reportjob.OutputOutcome, len(r.Spec.Outputs))
	var all sync.WaitGroup
	for i, output := range r.Spec.Outputs {
		all.Go(func() {
			if err != nil { // cannot happen with a parsed spec
				outcomes[i].Output, _ = o.place(output)
				outcomes[i].Message = sentence(err.Error())
				return
			}
			outcomes[i] = o.deliver(ctx, r, output)
		})
	}
	all.Wait()
	return outcomes
}

// content is a report rendered for an output.
type content struct {
	Report
	format report.Format
	body   []byte
}

// file returns the report's file name.
func (c content) file() string { return reportjob.FileName(c.Spec.Name, c.Slot, c.format) }

// place is a destination of reports.
type place interface {
	// put delivers the report once. note describes a lesser failure, such as of pruning.
	put(ctx context.Context, c content) (note string, err error)
}

func (o Options) deliver(ctx context.Context, r Report, output reportjob.Output) reportjob.OutputOutcome {
	name, to := o.place(output)
	outcome := reportjob.OutputOutcome{Output: name}
	note, err := o.bring(ctx, r, output.Format, to)
	if err != nil {
		outcome.Message = sentence(err.Error())
		return outcome
	}
	outcome.Delivered, outcome.Message = true, sentence(note)
	return outcome
}

// place returns the destination of an output and its display name.
func (o Options) place(output reportjob.Output) (name string, to place) {
	switch {
	case output.File != nil:
		f := *output.File
		name = "pvc/" + f.Volume
		if f.Path != "" {
			name += ":" + f.Path
		}
		return name, folder{f, o}
	case output.S3 != nil:
		s := *output.S3
		name = "s3://" + s.Bucket
		if s.Prefix != "" {
			name += "/" + s.Prefix
		}
		return name, bucket{s, o}
	case output.Webhook != nil:
		return "webhook secret " + output.Webhook.Secret, webhook{*output.Webhook, o}
	}
	return "nowhere", nil
}

// bring renders and delivers the report, with retries.
func (o Options) bring(ctx context.Context, r Report, format report.Format, to place) (note string, err error) {
	if to == nil {
		return "", errors.New("the output names no place")
	}
	var b bytes.Buffer
	if err := report.Render(&b, r.Document, format, report.RenderOptions{}); err != nil {
		return "", err
	}
	c := content{Report: r, format: format, body: b.Bytes()}
	for try := 1; ; try++ {
		note, err := o.once(ctx, c, to)
		var f *sendError
		switch {
		case err == nil:
			return note, nil
		case errors.As(err, &f) && f.final:
			return "", err
		case ctx.Err() != nil:
			return "", fmt.Errorf("ended before it was delivered: %w", err)
		case try >= o.Tries:
			return "", fmt.Errorf("%w (tried %d times)", err, try)
		}
		wait := o.pause(try)
		if f != nil {
			wait = max(wait, min(f.wait, o.Try))
		}
		if !pause.For(ctx, wait) {
			return "", fmt.Errorf("ended before it was delivered: %w", err)
		}
	}
}

// once makes one attempt.
func (o Options) once(ctx context.Context, c content, to place) (note string, err error) {
	if err := ctx.Err(); err != nil {
		return "", errors.New("there was no time left")
	}
	try, cancel := context.WithTimeout(ctx, o.Try)
	defer cancel()
	note, err = to.put(try, c)
	if err != nil && errors.Is(try.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return "", fmt.Errorf("it took longer than %s", text.Duration(o.Try))
	}
	return note, err
}

// pause returns how long to wait after a try: twice as long after each, ±50 %.
func (o Options) pause(try int) time.Duration {
	return time.Duration(float64(o.Pause) * math.Pow(2, float64(try-1)) * (0.5 + o.Random()))
}
