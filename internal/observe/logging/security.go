package logging

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/watchbill/watchbill/internal/observe"
)

const (
	securityEvery = time.Minute // how often events without a line are summarized

	// The limits of lines of bounded events in a minute: of one kind from one network, and of all.
	maxEventsFromOne = 60
	maxEvents        = 300

	maxNetworks   = 4096 // distinguished in a minute; further ones are counted together
	maxSummaries  = 20   // lines of a summary; one more has the rest
	manyRefusals  = 100  // minimum of a network's refusals in a minute for a line
	otherNetworks = "others"
)

// Actor is the cause of a security event.
type Actor struct {
	Kind string // admin, enrollment, agent, service_account or service
	ID   string // the agent's or the account's name, or a token's fingerprint; may be empty
}

// SecurityEvent is a completed action that is relevant to an auditor.
type SecurityEvent struct {
	Kind      string // such as agent.enrolled
	Actor     Actor
	Remote    string // the client's address
	RequestID string
	Fields    []zap.Field // the objects of the action
	// Bounded limits the number of lines of such events. It is set for events that clients can cause in any number.
	Bounded bool
}

// SecurityLog logs security events, and refusals if there are many. Clients cannot fill it: Bounded events have a
// limited number of lines a minute; the others are counted in a line with repeated: n.
type SecurityLog struct {
	log    *zap.Logger
	redact redactor
	now    func() time.Time

	mu       sync.Mutex
	minute   int64
	lines    int
	events   map[eventSource]*eventCount
	refusals map[string]*refusalCount
}

type eventSource struct{ kind, network string }

type eventCount struct{ lines, more int64 }

type refusalCount struct {
	all      int64
	byStatus map[int]int64
}

// NewSecurityLog returns a log of security events to logs.Security. Its counts are logged only if Run runs.
func NewSecurityLog(logs *Logs, now func() time.Time) *SecurityLog {
	return &SecurityLog{
		log: logs.Security, redact: logs.redact, now: now,
		events: map[eventSource]*eventCount{}, refusals: map[string]*refusalCount{},
	}
}

// Fingerprint returns the first 16 hexadecimal digits of the SHA-256 of s. It identifies a secret or a name without
// revealing it.
func Fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// Record logs an event, or counts it if similar events have reached their limit.
func (l *SecurityLog) Record(e SecurityEvent) {
	if e.Bounded && !l.permit(eventSource{e.Kind, networkOf(e.Remote)}) {
		return
	}
	fields := make([]zap.Field, 0, len(e.Fields)+5)
	fields = append(fields, zap.String("event", e.Kind), zap.String("actor", e.Actor.Kind))
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, zap.String(name, l.redact.sent(value, maxIDLine)))
		}
	}
	add("actor_id", e.Actor.ID)
	add("remote", e.Remote)
	add("request_id", e.RequestID)
	l.log.Info(e.Kind, append(fields, e.Fields...)...)
}

// Weak logs a weakness of the configuration.
func (l *SecurityLog) Weak(what string) {
	l.log.Warn("configuration.weak", zap.String("event", "configuration.weak"), zap.String("actor", "service"), zap.String("weakness", what))
}

// Refused counts a response that refused an unauthenticated caller.
func (l *SecurityLog) Refused(remote string, status int) {
	network := networkOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	count := l.refusals[network]
	if count == nil {
		if len(l.refusals) >= maxNetworks {
			network = otherNetworks
		}
		if count = l.refusals[network]; count == nil {
			count = &refusalCount{byStatus: map[int]int64{}}
			l.refusals[network] = count
		}
	}
	count.all++
	count.byStatus[status]++ // bounded by the statuses that this server returns
}

// permit reports whether an event gets a line, and counts it otherwise.
func (l *SecurityLog) permit(source eventSource) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if minute := l.now().Unix() / 60; minute != l.minute {
		l.minute, l.lines = minute, 0
		for _, count := range l.events {
			count.lines = 0
		}
	}
	count := l.events[source]
	if count == nil {
		if len(l.events) >= maxNetworks {
			source.network = otherNetworks
		}
		if count = l.events[source]; count == nil {
			count = &eventCount{}
			l.events[source] = count
		}
	}
	if count.lines >= maxEventsFromOne || l.lines >= maxEvents {
		count.more++
		return false
	}
	count.lines++
	l.lines++
	return true
}

// Run summarizes the events without a line every minute until ctx is done, and a last time then.
func (l *SecurityLog) Run(ctx context.Context) error {
	ticker := time.NewTicker(securityEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.sumUp()
			return nil
		case <-ticker.C:
			l.sumUp()
		}
	}
}

func (l *SecurityLog) sumUp() {
	l.mu.Lock()
	events, refusals := l.events, l.refusals
	l.events, l.refusals = make(map[eventSource]*eventCount), make(map[string]*refusalCount)
	current := l.now().Unix()/60 == l.minute
	for source, count := range events {
		if current && count.lines > 0 { // keeps the limit of the current minute
			l.events[source] = &eventCount{lines: count.lines}
		}
	}
	l.mu.Unlock()
	l.sumUpEvents(events)
	l.sumUpRefusals(refusals)
}

func (l *SecurityLog) sumUpEvents(events map[eventSource]*eventCount) {
	maps.DeleteFunc(events, func(_ eventSource, count *eventCount) bool { return count.more == 0 })
	sources := slices.SortedFunc(maps.Keys(events), func(a, b eventSource) int {
		return cmp.Or(cmp.Compare(events[b].more, events[a].more), cmp.Compare(a.kind, b.kind), cmp.Compare(a.network, b.network))
	})
	others := map[string]int64{}
	for i, source := range sources {
		if i >= maxSummaries {
			others[source.kind] += events[source].more
			continue
		}
		l.repeated(source.kind, source.network, events[source].more)
	}
	for _, kind := range slices.Sorted(maps.Keys(others)) {
		l.repeated(kind, otherNetworks, others[kind])
	}
}

func (l *SecurityLog) repeated(kind, network string, n int64) {
	l.log.Warn(kind, zap.String("event", kind), zap.String("network", network), zap.Int64("repeated", n))
}

func (l *SecurityLog) sumUpRefusals(refusals map[string]*refusalCount) {
	maps.DeleteFunc(refusals, func(_ string, count *refusalCount) bool { return count.all < manyRefusals })
	networks := slices.SortedFunc(maps.Keys(refusals), func(a, b string) int {
		return cmp.Or(cmp.Compare(refusals[b].all, refusals[a].all), cmp.Compare(a, b))
	})
	others := &refusalCount{byStatus: map[int]int64{}}
	for i, network := range networks {
		if i < maxSummaries {
			l.refused(network, refusals[network])
			continue
		}
		others.all += refusals[network].all
		for status, n := range refusals[network].byStatus {
			others.byStatus[status] += n
		}
	}
	if others.all > 0 {
		l.refused(otherNetworks, others)
	}
}

func (l *SecurityLog) refused(network string, count *refusalCount) {
	const kind = "requests.refused"
	l.log.Warn(kind, zap.String("event", kind), zap.String("network", network), zap.Int64("refused", count.all),
		zap.Object("by_status", zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
			for _, status := range slices.Sorted(maps.Keys(count.byStatus)) {
				enc.AddInt64(observe.StatusLabel(status), count.byStatus[status])
			}
			return nil
		})))
}

// networkOf returns the network of an address, with or without a port, that a single client may own: a /24, or a /64
// for IPv6.
func networkOf(remote string) string {
	address, err := netip.ParseAddr(remote)
	if err != nil {
		port, err := netip.ParseAddrPort(remote)
		if err != nil {
			return otherNetworks
		}
		address = port.Addr()
	}
	address = address.Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 24
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return otherNetworks
	}
	return prefix.String()
}
