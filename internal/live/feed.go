package live

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// tick is how often changes are published. It bounds the events of a second, whatever the traffic.
	tick = time.Second
	// maxAgents is the maximum number of agents that an event of deployments names.
	maxAgents = 50
)

// Fleet is the state of the whole fleet.
type Fleet struct {
	Agents      map[string]int64 `json:"agents"`      // by state
	Deployments map[string]int64 `json:"deployments"` // by status
}

// Spend is what executions cost.
type Spend struct {
	DayUSD float64 `json:"day_usd"` // of the current UTC day
}

// Health is whether the replica works without fault, as far as it knows without asking the database.
type Health struct {
	Status  string   `json:"status"` // ok or degraded
	Reasons []string `json:"reasons"`
}

// Deployments are the agents whose deployments changed. More is set if there are others, such as those that another
// replica changed.
type Deployments struct {
	AgentIDs []string `json:"agent_ids"`
	More     bool     `json:"more"`
}

// Executions is the number of executions that this replica stored since the last such event.
type Executions struct {
	Stored uint64 `json:"stored"`
}

// Sources return what a replica already knows, without waiting. known is false if nothing is known yet.
type Sources struct {
	Fleet  func() (f Fleet, known bool)
	Spend  func() (s Spend, known bool)
	Stored func() uint64 // executions since the replica started
	Faults func() []string
}

// Feed publishes what changes to a hub.
type Feed struct {
	hub     *Hub
	sources Sources
	log     *zap.Logger

	mu     sync.Mutex
	agents map[string]struct{} // whose deployments changed since the last tick
	more   bool

	stored uint64 // as of the last tick
}

// NewFeed returns a feed of a hub.
func NewFeed(hub *Hub, sources Sources, log *zap.Logger) *Feed {
	return &Feed{hub: hub, sources: sources, log: log, agents: map[string]struct{}{}}
}

// DeploymentsChanged records that deployments of agents changed on this replica.
func (f *Feed) DeploymentsChanged(agentIDs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range agentIDs {
		if _, known := f.agents[id]; !known && len(f.agents) >= maxAgents {
			f.more = true
			return
		}
		f.agents[id] = struct{}{}
	}
}

// ChangedElsewhere records that another replica changed deployments.
func (f *Feed) ChangedElsewhere() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.more = true
}

// Run publishes changes until ctx is done.
func (f *Feed) Run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if err := f.Publish(); err != nil {
			f.log.Error("cannot publish live events", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Publish publishes what changed since the last call.
func (f *Feed) Publish() error {
	var events []Event
	if fleet, known := f.sources.Fleet(); known {
		events = append(events, Event{"fleet", fleet, true})
	}
	if spend, known := f.sources.Spend(); known {
		events = append(events, Event{"spend", spend, true})
	}
	health := Health{"ok", f.sources.Faults()}
	if len(health.Reasons) > 0 {
		health.Status = "degraded"
	}
	events = append(events, Event{"health", health, true})
	if changed, found := f.takeDeployments(); found {
		events = append(events, Event{"deployments", changed, false})
	}
	if stored := f.sources.Stored(); stored != f.stored {
		events = append(events, Event{"executions", Executions{stored - f.stored}, false})
		f.stored = stored
	}
	return f.hub.Publish(events...)
}

func (f *Feed) takeDeployments() (changed Deployments, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = Deployments{slices.AppendSeq([]string{}, maps.Keys(f.agents)), f.more}
	found = f.more || len(f.agents) > 0
	slices.Sort(changed.AgentIDs)
	clear(f.agents)
	f.more = false
	return changed, found
}
