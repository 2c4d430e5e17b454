package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/execution"
)

// The limits of agents, models and pairs of them with their own series, since clients choose the names. All others are
// counted as execution.Other.
const (
	maxExecutionAgents = 100
	maxExecutionModels = 100
	maxExecutionPairs  = 1000

	noModel = "none" // the label of executions without a model
)

// The options of client_golang's histograms, for those that need not be as cheap as the Recorder's: native buckets are
// 9 % wide, as there, and limited in number.
const (
	nativeFactor     = 1.1
	maxNativeBuckets = 160
)

// tokenKinds are the values of the label kind. They do not overlap, so that each token counts once in their sum: input
// excludes tokens read from a cache or written to one, and output excludes reasoning.
var tokenKinds = [...]string{"input", "output", "cache_read", "cache_write", "reasoning", "unspecified"}

// tokensByKind returns the counts in the order of tokenKinds. Unspecified is the part of a total beyond input and
// output, such as all of a total that was sent without them.
func tokensByKind(t execution.Tokens) [len(tokenKinds)]int64 {
	return [...]int64{
		t.Input - t.CacheRead - t.CacheWrite, t.Output - t.Reasoning, t.CacheRead, t.CacheWrite, t.Reasoning,
		t.Used - t.Input - t.Output,
	}
}

// ExecutionMetrics counts AI agents' executions for Prometheus. Each is counted once, when it is settled: counters
// cannot decrease, and a span's parent, which names its agent, may arrive after it.
type ExecutionMetrics struct {
	requests, tokens, cost, unpriced *prometheus.CounterVec
	unknownUsage, providerCost       *prometheus.CounterVec
	now                              func() time.Time

	mu             sync.Mutex
	durations      map[string]*durations // by agent
	agents, models labelValues
	pairs          map[agentAndModel]*executionSeries
}

type agentAndModel struct{ agent, model string }

// executionSeries are the series of an agent and a model, resolved once. Those of tokens and money are nil until first
// used.
type executionSeries struct {
	successful, failed, timedOut prometheus.Counter
	durations                    *durations
	tokens                       []prometheus.Counter // in the order of tokenKinds
	cost, unpriced               prometheus.Counter
	unknownUsage                 prometheus.Counter // nil until the first execution with a usage, even if unknown
	providerCost                 prometheus.Counter // nil until a provider reports a charge
}

// NewExecutionMetrics returns counters that are registered with reg.
func NewExecutionMetrics(reg prometheus.Registerer, now func() time.Time) *ExecutionMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &ExecutionMetrics{
		now: now, durations: map[string]*durations{},
		requests: counter("watchbill_executions_total",
			"Requests to AI agents, by agent, model and status.", "agent", "model", "status"),
		tokens: counter("watchbill_tokens_total",
			"Tokens that models consumed and produced; each is of one kind.", "agent", "model", "kind"),
		cost: counter("watchbill_cost_usd_total",
			"Cost in US dollars of the tokens that have a price.", "agent", "model"),
		unpriced: counter("watchbill_unpriced_tokens_total",
			"Tokens that have no price, and so are in no cost.", "model"),
		unknownUsage: counter("watchbill_executions_unknown_usage_total",
			"Executions whose tokens are unknown or estimated.", "agent", "model"),
		providerCost: counter("watchbill_provider_cost_usd_total",
			"Cost of executions as reported by providers, in US dollars.", "agent", "model"),
		agents: labelValues{limit: maxExecutionAgents, known: map[string]string{}},
		models: labelValues{limit: maxExecutionModels, known: map[string]string{"": noModel}},
		pairs:  map[agentAndModel]*executionSeries{},
	}
	reg.MustRegister(durationCollector{m}, m.requests, m.tokens, m.cost, m.unpriced, m.unknownUsage, m.providerCost)
	return m
}

// Observe counts executions, which must be committed and settled, without duplicates.
func (m *ExecutionMetrics) Observe(execs []execution.Execution) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range execs {
		m.observe(&execs[i])
	}
}

func (m *ExecutionMetrics) observe(e *execution.Execution) {
	pair, s := m.pair(e.AgentName, e.Model)
	if e.Request {
		switch e.Status {
		case execution.Success:
			s.successful.Inc()
		case execution.Failure:
			s.failed.Inc()
		case execution.Timeout:
			s.timedOut.Inc()
		}
		s.durations.observe(e.Duration)
	}
	if e.Usage != execution.UsageNone && s.unknownUsage == nil {
		s.unknownUsage = m.unknownUsage.WithLabelValues(pair.agent, pair.model)
	}
	if e.Usage == execution.UsageUnknown || e.Usage == execution.UsageEstimated {
		s.unknownUsage.Inc()
	}
	if e.ProviderCost != nil {
		if s.providerCost == nil {
			s.providerCost = m.providerCost.WithLabelValues(pair.agent, pair.model)
		}
		add(s.providerCost, float64(*e.ProviderCost)/1e9)
	}
	if e.Tokens != (execution.Tokens{}) {
		m.observeTokens(pair, s, e)
	}
}

func (m *ExecutionMetrics) observeTokens(pair agentAndModel, s *executionSeries, e *execution.Execution) {
	if s.tokens == nil {
		for _, kind := range tokenKinds {
			s.tokens = append(s.tokens, m.tokens.WithLabelValues(pair.agent, pair.model, kind))
		}
		s.cost = m.cost.WithLabelValues(pair.agent, pair.model)
		s.unpriced = m.unpriced.WithLabelValues(pair.model)
	}
	for i, n := range tokensByKind(e.Tokens) {
		add(s.tokens[i], float64(n))
	}
	if e.Cost != nil {
		add(s.cost, float64(*e.Cost)/1e9)
	}
	add(s.unpriced, float64(e.UnpricedTokens()))
}

// add adds n unless it is negative, which would make the counter panic. Checked executions have no negative values.
func add(c prometheus.Counter, n float64) {
	if n > 0 {
		c.Add(n)
	}
}

// pair returns the labels and the series for an agent and a model.
func (m *ExecutionMetrics) pair(agent, model string) (agentAndModel, *executionSeries) {
	pair := agentAndModel{m.agents.label(agent), m.models.label(model)}
	s := m.pairs[pair]
	if s == nil && len(m.pairs) >= maxExecutionPairs {
		pair = agentAndModel{execution.Other, execution.Other}
		s = m.pairs[pair]
	}
	if s == nil {
		s = m.newSeries(pair)
		m.pairs[pair] = s
	}
	return pair, s
}

// newSeries creates the series of all statuses at 0, since Prometheus sees no increase in a series that begins at 1.
func (m *ExecutionMetrics) newSeries(pair agentAndModel) *executionSeries {
	requests := func(status execution.Status) prometheus.Counter {
		return m.requests.WithLabelValues(pair.agent, pair.model, string(status))
	}
	if m.durations[pair.agent] == nil {
		m.durations[pair.agent] = newDurations(m.now())
	}
	return &executionSeries{
		successful: requests(execution.Success),
		failed:     requests(execution.Failure),
		timedOut:   requests(execution.Timeout),
		durations:  m.durations[pair.agent],
	}
}

// labelValues are the values of a label: the first ones up to a limit.
type labelValues struct {
	limit int
	known map[string]string // by name
}

func (l labelValues) label(name string) string {
	if label, known := l.known[name]; known {
		return label
	}
	if len(l.known) >= l.limit {
		return execution.Other
	}
	// The clone does not keep the request's body, of which name is a part, in memory. A label must be valid UTF-8.
	name = strings.Clone(name)
	label := strings.ToValidUTF8(name, "\uFFFD")
	l.known[name] = label
	return label
}
