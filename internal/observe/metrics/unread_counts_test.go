package metrics_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/observe/metrics"
)

func TestUnreadCountsAreBounded(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.WarnLevel)
	reg := prometheus.NewRegistry()
	unread := metrics.NewUnreadCounts(reg, zap.New(core))
	unread.Observe(strings.Repeat("x", 1000))
	unread.Observe("a\nb")
	for i := range 200 {
		unread.Observe(fmt.Sprintf("acme.usage.n%d_tokens", i))
		unread.Observe("acme.usage.n0_tokens")
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 51 {
		t.Errorf("%v, %v; want 51 series", families, err)
	}
	if got := logs.Len(); got != 50 {
		t.Errorf("%d lines in the log, want one a name: 50", got)
	}
}
