//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/watchbill/watchbill/api/openapi"
)

// testAgreement compares a report with what Prometheus scraped in the same window. Only what was counted between an
// edge of the window and the nearest scrapes may be in just one of them.
func testAgreement(t *testing.T, r *release) {
	needMonitoring(t)
	from := time.Now().UTC().Truncate(time.Minute).Add(time.Minute)
	to := from.Add(time.Minute)
	eventually(t, 3*time.Minute, "the window is over, and scraped", func(context.Context) error {
		if time.Now().Before(to.Add(12 * time.Second)) {
			return errors.New("it is not yet")
		}
		return nil
	})
	var report openapi.Report
	r.api(t).must(t, http.MethodPost, "/api/reports", openapi.CreateReportRequest{Name: "agreement", From: from, To: to}, &report)
	var endpoints []struct {
		Method, Route string
		Requests      float64
	}
	var executions struct {
		Count float64 `json:"count"`
	}
	for name, to := range map[string]any{"endpoints": &endpoints, "executions": &executions} {
		if err := json.Unmarshal(report.Sections[name], to); err != nil {
			t.Fatalf("section %s: %v: %s", name, err, report.Sections[name])
		}
	}
	counted := map[string]float64{}
	for _, e := range endpoints {
		counted[e.Method+" "+e.Route] += e.Requests
	}
	for _, tt := range []struct {
		what, series string
		got          float64
	}{
		{"polls", r.selects("watchbill_http_requests_total", `method="GET"`, `route="`+pendingRoute+`"`), counted["GET "+pendingRoute]},
		{"batches of executions", r.selects("watchbill_http_requests_total", `method="POST"`, `route="/api/executions"`), counted["POST /api/executions"]},
		{"status reports", r.selects("watchbill_http_requests_total", `route="/api/deployments/{deployment_id}/status"`), counted["POST /api/deployments/{deployment_id}/status"]},
		{"executions", r.selects("watchbill_executions_total"), executions.Count},
	} {
		least, most, err := increase(t.Context(), tt.series, from, to)
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		t.Logf("%s: %.0f in the report, %.0f to %.0f in Prometheus", tt.what, tt.got, least, most)
		if tt.got < least || tt.got > most || tt.got == 0 {
			t.Errorf("%s: %.0f in the report, %.0f to %.0f in Prometheus", tt.what, tt.got, least, most)
		}
	}
}

// increase returns the minimum increase of counters in a window (between the outermost scrapes in it) and the maximum
// (between those around it).
func increase(ctx context.Context, series string, from, to time.Time) (least, most float64, err error) {
	const edge = 20 * time.Second
	window := fmt.Sprintf("%s[%ds]", series, int((to.Sub(from) + 2*edge).Seconds()))
	matrix, err := query[model.Matrix](ctx, window, to.Add(edge))
	if err != nil {
		return 0, 0, err
	}
	if len(matrix) == 0 {
		return 0, 0, fmt.Errorf("%s has no samples", series)
	}
	for _, stream := range matrix {
		inside, around, err := rise(stream.Values, from, to)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", stream.Metric, err)
		}
		least, most = least+inside, most+around
	}
	return least, most, nil
}

func rise(samples []model.SamplePair, from, to time.Time) (inside, around float64, err error) {
	var first, last, before, after *model.SamplePair
	for i := range samples {
		s := &samples[i]
		switch at := s.Timestamp.Time(); {
		case at.Before(from):
			before = s
		case at.After(to):
			if after == nil {
				after = s
			}
		default:
			if first == nil {
				first = s
			}
			last = s
		}
	}
	if first == nil || after == nil {
		return 0, 0, fmt.Errorf("%d samples, not enough around %s to %s", len(samples), from, to)
	}
	start := 0.0 // a series that began in the window
	if before != nil {
		start = float64(before.Value)
	}
	inside = float64(last.Value - first.Value)
	if before == nil {
		inside = float64(last.Value)
	}
	return inside, float64(after.Value) - start, nil
}
