// Package delivery brings reports to where people want them: files on a volume, objects in a bucket, webhooks. Each place is
// independent of the others, and what became of it is an outcome in words, never an error: a report that was made is not
// lost because a place is away. No word of an outcome is a secret.
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
)

// Report is what is delivered, and its spec says where.
type Report struct {
	Spec     reportjob.Spec
	Slot     time.Time // that it is of
	Document report.Document
}

// Options are how to deliver.
type Options struct {
	Now       func() time.Time
	Random    func() float64 // from 0 to 1; spreads the tries of many Pods
	UserAgent string
	// MayQuote reports whether an outcome may quote what a server at an address says. nil: of https, and of public addresses.
	MayQuote  func(scheme string, addr netip.Addr) bool
	Transport *http.Transport // to webhooks and stores; nil: as the environment says. Its idle connections are closed in the end

	// For each place; 0: 3 tries, of 30 s at most each, the first two of which are followed by a wait of about 1 s and 2 s.
	Tries int
	Try   time.Duration
	Pause time.Duration

	through guard
}

// Deliver brings a report to all outputs of its spec at once, until the context ends. The outcomes are in the spec's order.
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
			if err != nil { // a spec that was parsed has none
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

// content is a report as an output has it.
type content struct {
	Report
	format report.Format
	body   []byte
}

// file is the name that it has where it is one of many.
func (c content) file() string { return reportjob.FileName(c.Spec.Name, c.Slot, c.format) }

// place is where a report can be brought to.
type place interface {
	// put brings it there once. note is what went wrong beside.
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

// place is that of an output, and its name for people.
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

// bring renders the report and tries to put it in its place.
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

// once is one try.
func (o Options) once(ctx context.Context, c content, to place) (note string, err error) {
	if err := ctx.Err(); err != nil {
		return "", errors.New("there was no time left")
	}
	try, cancel := context.WithTimeout(ctx, o.Try)
	defer cancel()
	note, err = to.put(try, c)
	if err != nil && errors.Is(try.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return "", fmt.Errorf("it took longer than %s", o.Try)
	}
	return note, err
}

// wait is how long to wait after a try: twice as long after each, give or take a half.
func (o Options) pause(try int) time.Duration {
	return time.Duration(float64(o.Pause) * math.Pow(2, float64(try-1)) * (0.5 + o.Random()))
}
