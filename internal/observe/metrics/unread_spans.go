package metrics

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	maxUnreadScopes = 20 // limit of scopes with their own series, since clients choose the names
	maxScopeLabel   = 100
)

// UnreadSpans counts spans that look like generative AI but did not become executions. It is safe for concurrent use.
type UnreadSpans struct {
	spans *prometheus.CounterVec

	mu     sync.Mutex
	scopes map[string]bool
}

// NewUnreadSpans returns a counter that is registered with reg.
func NewUnreadSpans(reg prometheus.Registerer) *UnreadSpans {
	u := &UnreadSpans{
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchbill_otlp_unread_spans_total",
			Help: "Spans that look like generative AI and do not say what they are, by instrumentation.",
		}, []string{"scope"}),
		scopes: make(map[string]bool),
	}
	reg.MustRegister(u.spans)
	return u
}

// Observe counts spans of an instrumentation scope. Scopes beyond the first maxUnreadScopes are counted together.
func (u *UnreadSpans) Observe(scope string, spans int) {
	u.spans.WithLabelValues(u.label(scope)).Add(float64(spans))
}

func (u *UnreadSpans) label(scope string) string {
	if scope = clientLabel(scope, maxScopeLabel); scope == otherLabel {
		return scope
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.scopes[scope] {
		if len(u.scopes) >= maxUnreadScopes {
			return otherLabel
		}
		u.scopes[strings.Clone(scope)] = true
	}
	return scope
}
