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
	repairEvery = 30 * time.Second // how often another's change of our fields is undone, once it was often
	repairBurst = 5
	// seenWithin is how long after a write the cache may not show it. Longer, and the object was deleted before we saw it.
	seenWithin = 10 * time.Second
	outageFor  = 15 * time.Second
)

// memory is what the controller remembers from one reconcile to the next. All of it can be lost: the cluster is the truth.
type memory struct {
	mu      sync.Mutex
	reports map[types.NamespacedName]*recollection
	writes  map[objectKey]write
	swept   time.Time // when old writes were last forgotten
	failed  time.Time // when the API last failed to answer
}

// recollection is what is remembered of a report. Its reconciles are one after the other, so that it needs no lock.
type recollection struct {
	uid     types.UID
	repairs *rate.Limiter

	settled    string // the versions of what stood as planned, all of it; empty: not all of it does yet
	generation int64  // of the spec that settled and plan are of
	plan       plan   // what of it is asked for while it stands
	made       rules  // that were made last, until they stand

	slots string    // the schedule and its zone, as last seen
	since time.Time // since when they are so; zero: since before this controller

	stuck map[types.UID]string    // why Pods of a Job could not start, by Job
	asked map[types.UID]time.Time // when the API was last asked what came of a Job
}

// rules are those of a spec as digests, which they are looked for by until they stand: to make them again takes long.
type rules struct {
	generation int64 // of the spec; 0: there are none
	rule       *monitoringv1.PrometheusRule
	notes      []string
}

// objectKey names an object.
type objectKey struct{ kind, namespace, name string }

func keyOf(object client.Object) objectKey {
	return objectKey{kindOf(object), object.GetNamespace(), object.GetName()}
}

// kindOf is an object's kind. Those from the cache do not say it themselves.
func kindOf(object client.Object) string { return reflect.TypeOf(object).Elem().Name() }

// write is one that the cache need not show yet.
type write struct {
	version uint64
	at      time.Time
}

func newMemory() *memory {
	return &memory{reports: map[types.NamespacedName]*recollection{}, writes: map[objectKey]write{}}
}

// of returns what is remembered of a report; of one that took the name of another, nothing.
func (m *memory) of(report *v1alpha1.MonitoringReport) *recollection {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := client.ObjectKeyFromObject(report)
	known := m.reports[key]
	if known == nil || known.uid != report.UID {
		known = &recollection{
			uid:     report.UID,
			repairs: rate.NewLimiter(rate.Every(repairEvery), repairBurst),
			stuck:   map[types.UID]string{},
			asked:   map[types.UID]time.Time{},
		}
		m.reports[key] = known
	}
	return known
}

// forget drops what is remembered of a report that is gone.
func (m *memory) forget(report types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.reports, report)
}

// wrote remembers what a write made of an object.
func (m *memory) wrote(key objectKey, object client.Object, now time.Time) {
	version, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return // a server whose versions are no numbers; then the cache is trusted
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes[key] = write{version, now}
	if age := now.Sub(m.swept); age < 0 || age > seenWithin {
		m.swept = now
		maps.DeleteFunc(m.writes, func(_ objectKey, w write) bool { return w.old(now) })
	}
}

// behind says whether what the cache shows of an object, nil if it shows none, is older than our last write of it. Acting
// on that would write a second time.
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
	delete(m.writes, key) // or an object that is deleted later would seem not to be seen yet
	return false
}

// noteOutage notes that the API did not answer, and away says whether that was a moment ago: one report waits for it in vain,
// not each of a thousand.
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

// old says whether the cache must show a write by now. So it is too if the clock was set back.
func (w write) old(now time.Time) bool {
	age := now.Sub(w.at)
	return age < 0 || age > seenWithin
}

// planned returns what a report asks for. settled says that it was found to stand, all of it, and that nothing changed since:
// then there is nothing to apply, and the plan has no more of objects than their names.
func (r *recollection) planned(seen *observed, decide func() plan) (p plan, settled bool) {
	if r.settled != "" && r.generation == seen.report.Generation && r.settled == seen.versions() {
		return r.plan, true
	}
	r.settled, r.plan = "", plan{}
	return decide(), false
}

// settle notes that all that was planned stands as it was seen. Plans are not kept before, but for the digests of rules: a
// thousand reports wait for their objects to be seen at the same time, and rules take a hundred times the room of their digests.
func (r *recollection) settle(seen *observed, p plan) {
	r.settled, r.generation = seen.versions(), seen.report.Generation
	r.made = rules{}
	r.plan = plan{notes: p.notes}
	if p.rule != nil {
		r.plan.rule = named(&monitoringv1.PrometheusRule{}, p.rule.Namespace, p.rule.Name)
		r.plan.rule.Labels = p.rule.Labels
	}
}

// keep keeps the rules that were planned until they stand, as digests.
func (r *recollection) keep(seen *observed, p plan) error {
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

// mayRepair says whether another's change may be undone now.
func (r *recollection) mayRepair(now time.Time) bool { return r.repairs.AllowN(now, 1) }

// scheduledSince notes what a CronJob's schedule is, and returns since when it is that: zero if since before this controller
// began.
func (r *recollection) scheduledSince(cronJob *batchv1.CronJob, now time.Time) time.Time {
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
