package metrics

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	maxUnreadCounts = 50 // limit of names with their own series, since clients choose them
	maxCountLabel   = 120
)

// UnreadCounts counts the values that sources sent with unknown usage names, and logs each name once. It is safe for
// concurrent use.
type UnreadCounts struct {
	counts *prometheus.CounterVec
	log    *zap.Logger

	mu    sync.Mutex
	names map[string]bool
}

// NewUnreadCounts returns a counter that is registered with reg.
func NewUnreadCounts(reg prometheus.Registerer, log *zap.Logger) *UnreadCounts {
	u := &UnreadCounts{
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watchbill_usage_unread_counts_total",
			Help: "Usage counts that were ignored because their names are unknown, by name.",
		}, []string{"name"}),
		log:   log,
		names: make(map[string]bool),
	}
	reg.MustRegister(u.counts)
	return u
}

// Observe counts one value with a name. Names beyond the first maxUnreadCounts are counted together.
func (u *UnreadCounts) Observe(name string) { u.counts.WithLabelValues(u.label(name)).Inc() }

func (u *UnreadCounts) label(name string) string {
	if name = clientLabel(name, maxCountLabel); name == otherLabel {
		return name
	}
	u.mu.Lock()
	known := u.names[name]
	if !known && len(u.names) >= maxUnreadCounts {
		u.mu.Unlock()
		return otherLabel
	}
	if !known {
		name = strings.Clone(name)
		u.names[name] = true
	}
	u.mu.Unlock()
	if !known {
		u.log.Warn("a usage count has an unknown name and is ignored", zap.String("name", name))
	}
	return name
}
