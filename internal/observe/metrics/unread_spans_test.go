package metrics_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe/metrics"
)

func TestUnreadSpanScopesAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	unread := metrics.NewUnreadSpans(registry)
	for i := range 1000 {
		unread.Observe(fmt.Sprint("scope ", i), 2)
	}
	unread.Observe("scope 0", 3)
	unread.Observe(strings.Repeat("x", 5000), 1)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, metric := range families[0].GetMetric() {
		got[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
	}
	if len(got) != 21 {
		t.Errorf("want 20 scopes and the others, got %d", len(got))
	}
	if got["scope 0"] != 5 || got["other"] != 980*2+1 {
		t.Errorf("got %v", got)
	}
}
