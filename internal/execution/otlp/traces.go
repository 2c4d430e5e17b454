package otlp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

// Default limits of an export.
const (
	DefaultMaxBody         = 4 << 20  // bytes, compressed
	DefaultMaxDecompressed = 16 << 20 // bytes
	DefaultMaxSpans        = 20_000
	DefaultAtOnce          = 4
)

// Ledger stores executions.
type Ledger interface {
	Append(ctx context.Context, batch execution.Batch) (execution.Outcome, error)
}

// Options are the options of New.
type Options struct {
	Ledger Ledger
	Log    *zap.Logger // may be nil
	// Unread is called with the number of spans that look like generative AI but were not understood, by
	// instrumentation. It may be nil. The instrumentation's name is chosen by the client.
	Unread func(scope string, spans int)

	// UnreadCount is called for each token count with an unknown name. It may be nil. The name is chosen by the client.
	UnreadCount func(name string)

	// Zero means the default.
	MaxBody         int64 // bytes of a compressed body
	MaxDecompressed int64 // bytes of a decompressed or uncompressed body
	MaxSpans        int   // per export
	AtOnce          int   // exports decoded at the same time; each may need many times its size
}

// Traces handles export requests of traces. It is safe for concurrent use.
type Traces struct {
	ledger  Ledger
	log     *zap.Logger
	limits  limits
	unread  func(scope string, spans int)
	missed  func(name string)
	decoded chan struct{} // a slot for each export that is being decoded
}

// New returns a Traces.
func New(opts Options) *Traces {
	log := opts.Log
	if log == nil {
		log = zap.NewNop()
	}
	heard := opts.Unread
	if heard == nil {
		heard = func(string, int) {}
	}
	return &Traces{
		unread: heard,
		missed: opts.UnreadCount,
		ledger: opts.Ledger,
		log:    log,
		limits: limits{
			body:         orDefault(opts.MaxBody, DefaultMaxBody),
			decompressed: orDefault(opts.MaxDecompressed, DefaultMaxDecompressed),
			spans:        orDefault(opts.MaxSpans, DefaultMaxSpans),
		},
		decoded: make(chan struct{}, orDefault(opts.AtOnce, DefaultAtOnce)),
	}
}

func orDefault[N int | int64](given, standard N) N {
	if given <= 0 {
		return standard
	}
	return given
}

// Export handles one export request and always returns a response. Errors are in the response; only defects of the
// server are logged too.
func (t *Traces) Export(ctx context.Context, header http.Header, body io.Reader) (status int, mediaType string, answer []byte) {
	encoding := encodingOf(header)
	result, err := t.export(ctx, header, body)
	var refused *refusal
	switch {
	case err == nil:
		return http.StatusOK, encoding.mediaType(), encoding.response(result)
	case errors.As(err, &refused):
	case errors.Is(err, fault.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		// Exporters retry after a 503, and drop the data after a 500.
		refused = refuse(http.StatusServiceUnavailable, "the spans could not be stored now: %s", skipReason(err))
	default:
		t.log.Error("an export failed", zap.Error(err))
		refused = refuse(http.StatusInternalServerError, "the spans could not be stored")
	}
	return refused.status, encoding.mediaType(), encoding.refusal(refused)
}

// skipReason returns what clients may see of a temporary error.
func skipReason(err error) string {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Detail
	}
	return fault.ErrNoResponse.Detail
}

// Refuse returns the response to a request that was rejected elsewhere, in the encoding of that request.
func (t *Traces) Refuse(header http.Header, status int, message string) (mediaType string, answer []byte) {
	encoding := encodingOf(header)
	return encoding.mediaType(), encoding.refusal(&refusal{status: status, message: message})
}

func (t *Traces) export(ctx context.Context, header http.Header, body io.Reader) (verdict, error) {
	found, err := t.read(ctx, header, body)
	if err != nil {
		return verdict{}, err
	}
	if found.backwards > 0 {
		t.log.Debug("spans ended before they began, or did not say when; their duration is zero", zap.Int("spans", found.backwards))
	}
	if t.missed != nil {
		for _, name := range found.missed {
			t.missed(name)
		}
	}
	for _, u := range found.unread {
		t.unread(u.scope, u.spans)
	}
	if len(found.batch.Executions) == 0 && len(found.batch.Spans) == 0 {
		return verdict{found.faults, found.unread}, nil
	}
	if err := execution.Admit(ctx, found.batch.Executions); err != nil {
		return verdict{}, refuse(http.StatusTooManyRequests, "%s", err)
	}
	outcome, err := t.ledger.Append(ctx, found.batch)
	if err != nil {
		return verdict{}, fmt.Errorf("append an export's executions: %w", err)
	}
	for _, rejected := range outcome.Rejected {
		if rejected.Index < 0 || rejected.Index >= len(found.batch.Executions) {
			return verdict{}, fmt.Errorf("the ledger rejected execution %d of %d", rejected.Index, len(found.batch.Executions))
		}
		found.faults = append(found.faults, faultOf(&found.batch.Executions[rejected.Index], &rejected.Fault))
	}
	return verdict{found.faults, found.unread}, nil
}

// read reads a request and translates it. It retains nothing of the spans: only what the ledger receives is kept while
// waiting for the ledger.
func (t *Traces) read(ctx context.Context, header http.Header, body io.Reader) (translation, error) {
	sent, err := readBody(ctx, header, body, t.limits)
	if err != nil {
		return translation{}, err
	}
	defer sent.release()
	select {
	case t.decoded <- struct{}{}:
		defer func() { <-t.decoded }()
	case <-ctx.Done():
		return translation{}, ctx.Err()
	}
	export, release, err := sent.decode(t.limits)
	if err != nil {
		return translation{}, err
	}
	defer release()
	return translate(export), nil
}
