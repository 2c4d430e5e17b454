package traffic

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// unanswered are measurements that are never read.
type unanswered struct{}

func (unanswered) Facts(ctx context.Context, _ report.Window, _ report.Parts) (report.Facts, error) {
	<-ctx.Done()
	return report.Facts{}, ctx.Err()
}

// If a window takes too long to read, the response arrives within the deadline and says what to do about it.
func TestSlowWindowsTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := New(Options{Measurements: unanswered{}, Computing: endpoint.NewGate(1), Now: time.Now})
		for _, req := range []meteredSpan{{known: true, admin: true}, {known: true}, {}} {
			req.Span = endpoint.Span{Hours: 100}
			ctx, cancel := context.WithTimeout(t.Context(), endpoint.ResponseTimeout)
			start := time.Now()
			_, err := a.measure(ctx, req, report.SectionSummary)
			if took := time.Since(start); !errors.Is(err, errLongWindow) || took != endpoint.ResponseTimeout {
				t.Errorf("%+v: got %v after %s", req, err, took)
			}
			cancel()
		}
	})
}
