package controllers

import (
	"maps"
	"reflect"
	"strconv"
	"sync"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"golang.org/x/time/rate"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

const (
	repairEvery = 30 * time.Second // interval of reverting others' changes, after a burst
	repairBurst = 5
	// seenWithin is the maximum time after a write until the cache shows it. After that the object was deleted unseen.
	seenWithin = 10 * time.Second
	outageFor  = 15 * time.Second
)

// memory is the controller's state between reconciles. It can be lost: the cluster is authoritative.
type memory struct {
	mu      sync.Mutex
	reports map[types.NamespacedName]*reportState
	writes  map[objectKey]write
	swept   time.Time // when old writes were last removed
	failed  time.Time // when the API was last unreachable
}

// reportState is the state of a report. Reconciles of one report do not overlap, so it needs no lock.
type reportState struct {
	uid     types.UID
	repairs *rate.Limiter

	settled    string // versions of the objects when all were as planned; empty if they are not
	generation int64  // generation of the spec of settled and plan
	plan       plan   // the plan with the names of its objects only
	made       rules  // the rules made last, until they are applied

	slots string    // the schedule and its zone
	since time.Time // when they were set; zero if before this controller started

	stuck map[types.UID]string    // by Job: why its Pods could not start
	asked map[types.UID]time.Time // by Job: when the API was last asked for its result
}

// rules are the rules of a spec as digests. They are compared in this form until they are applied, since making them is
// expensive.
type rules struct {
	generation int64 // of the spec; 0 if there are no rules
	rule       *monitoringv1.PrometheusRule
	notes      []string
}

// objectKey identifies an object.
type objectKey struct{ kind, namespace, name string }

func keyOf(object client.Object) objectKey {
	return objectKey{kindOf(object), object.GetNamespace(), object.GetName()}
}

// kindOf returns an object's kind, which objects of the cache lack.
func kindOf(object client.Object) string { return reflect.TypeOf(object).Elem().Name() }

// write is a write that the cache may not show yet.
type write struct {
	version uint64
	at      time.Time
}

func newMemory() *memory {
	return &memory{reports: map[types.NamespacedName]*reportState{}, writes: map[objectKey]write{}}
}

// of returns the state of a report, empty for a report that replaced another of its name.
func (m *memory) of(report *v1alpha1.MonitoringReport) *reportState {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := client.ObjectKeyFromObject(report)
	known := m.reports[key]
	if known == nil || known.uid != report.UID {
		known = &reportState{
			uid:     report.UID,
			repairs: rate.NewLimiter(rate.Every(repairEvery), repairBurst),
			stuck:   map[types.UID]string{},
			asked:   map[types.UID]time.Time{},
		}
		m.reports[key] = known
	}
	return known
}

// forget removes the state of a deleted report.
func (m *memory) forget(report types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.reports, report)
}

// wrote records the version of a written object.
func (m *memory) wrote(key objectKey, object client.Object, now time.Time) {
	version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return // a server whose versions are not numbers; the cache is trusted
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes[key] = write{version, now}
	if age := now.Sub(m.swept); age < 0 || age > seenWithin {
		m.swept = now
		maps.DeleteFunc(m.writes, func(_ objectKey, w write) bool { return w.old(now) })
	}
}

// behind reports whether the cached object, which may be nil, is older than the last write of it. Acting on it would write
// again.
func (m *memory) behind(key objectKey, seen client.Object, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, ok := m.writes[key]
	if !ok {
		return false
	}
	if !last.old(now) {
		if seen == nil {
			return true
		}
		if version, err := strconv.ParseUint(seen.GetResourceVersion(), 10, 64); err == nil && version < last.version {
			return true
		}
	}
	delete(m.writes, key) // otherwise an object deleted later would appear as not yet cached
	return false
}

// noteOutage records that the API was unreachable, and away reports whether that was a moment ago, so that one report waits
// for a timeout and not each of a thousand.
func (m *memory) noteOutage(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = now
}

func (m *memory) away(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	age := now.Sub(m.failed)
	return age >= 0 && age < outageFor
}

// old reports whether the cache must show a write by now. It also returns true if the clock was set back.
func (w write) old(now time.Time) bool {
	age := now.Sub(w.at)
	return age < 0 || age > seenWithin
}

// planned returns the plan of a report. If settled is true all objects were found as planned and nothing has changed since:
// there is nothing to apply, and the plan has only the objects' names.
func (r *reportState) planned(seen *observed, decide func() plan) (p plan, settled bool) {
	if r.settled != "" && r.generation == seen.report.Generation && r.settled == seen.versions() {
		return r.plan, true
	}
	r.settled, r.plan = "", plan{}
	return decide(), false
}

// settle records that all planned objects were observed as planned. Before that only the digests of rules are kept: a
// thousand reports may wait for their objects at the same time, and rules take a hundred times the memory of their digests.
func (r *reportState) settle(seen *observed, p plan) {
	r.settled, r.generation = seen.versions(), seen.report.Generation
	r.made = rules{}
	r.plan = plan{notes: p.notes}
	if p.rule != nil {
		r.plan.rule = named(&monitoringv1.PrometheusRule{}, p.rule.Namespace, p.rule.Name)
		r.plan.rule.Labels = p.rule.Labels
	}
}

// keep stores the planned rules as digests until they are applied.
func (r *reportState) keep(seen *observed, p plan) error {
	if p.rule == nil || r.made.rule == p.rule {
		return nil
	}
	groups, err := digested(p.rule.Spec.Groups)
	if err != nil {
		return err
	}
	short := *p.rule
	short.Spec.Groups = groups
	r.made = rules{seen.report.Generation, &short, p.notes}
	return nil
}

// mayRepair reports whether a change by others may be reverted now.
func (r *reportState) mayRepair(now time.Time) bool { return r.repairs.AllowN(now, 1) }

// scheduledSince records a CronJob's schedule and returns when it was set: zero if before this controller started.
func (r *reportState) scheduledSince(cronJob *batchv1.CronJob, now time.Time) time.Time {
	slots := cronJob.Spec.Schedule
	if cronJob.Spec.TimeZone != nil {
		slots += " in " + *cronJob.Spec.TimeZone
	}
	if r.slots != "" && r.slots != slots {
		r.since = now
	}
	r.slots = slots
	return r.since
}
