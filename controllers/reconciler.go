package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// Options are the settings of the Reconciler.
type Options struct {
	Desired          desired.Options
	ReportNamespaces []string // namespaces in which reports may be created; "*" for all
	Reports          Reports  // optional; finds results of runs whose Pod is gone
	Now              func() time.Time
}

// Reconciler brings the cluster in line with each MonitoringReport.
type Reconciler struct {
	client  client.Client // reads from the cache
	server  client.Reader // reads from the API server
	creator *creator
	kinds   *kinds
	events  events.EventRecorder
	metrics *metrics
	memory  *memory
	opts    Options
	now     func() time.Time
}

// Reconcile applies the objects of one report and writes its status.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (result reconcile.Result, err error) {
	seen, err := r.observe(ctx, request.NamespacedName)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case seen.report == nil:
		return r.forget(ctx, request.NamespacedName)
	case !seen.report.DeletionTimestamp.IsZero():
		return reconcile.Result{}, nil // its objects are deleted with it
	case r.memory.behind(keyOf(seen.report), seen.report, r.now()):
		return reconcile.Result{RequeueAfter: time.Second / 10}, nil
	}
	o := newOutcome(seen.report)
	defer func() {
		r.writeStatus(ctx, seen.report, o)
		r.measure(seen, o)
		result, err = o.result()
	}()
	known := r.memory.of(seen.report)
	p, settled := known.planned(seen, func() plan { return decide(seen, known.made, r.opts, r.now()) })
	r.prune(ctx, p.unwanted(seen), o)
	switch {
	case p.fault != nil:
		o.faulty(seen, p.fault)
	case settled:
		r.setConditions(seen, p, o)
	default:
		schedule := r.applySchedule(ctx, seen, p, o)
		rule := r.applyRule(ctx, seen, p, o)
		if schedule && rule {
			known.settle(seen, p)
		} else if err := known.keep(seen, p); err != nil {
			o.fail(err)
		}
	}
	if p.fault == nil {
		r.applyRun(ctx, seen, o)
		o.ready()
	}
	o.stall(p.fault, r.now())
	r.recordRun(ctx, seen, o)
	o.set(reportHealth(o.status.LastRun), false)
	r.recordTimes(seen, o)
	return result, nil
}

// recordTimes sets the times of the last and next run in the status.
func (r *Reconciler) recordTimes(seen *observed, o *outcome) {
	now := r.now()
	o.status.LastScheduleTime = lastSlot(seen)
	o.status.NextScheduleTime = nil
	table, ok := timetableOf(o.cronJob, now)
	if !ok {
		return
	}
	if next := nextSlot(table, seen.report, o.status.LastScheduleTime, now); !next.IsZero() {
		o.status.NextScheduleTime = seconds(next)
		o.after(max(next.Sub(now), time.Millisecond))
	}
}

// forget removes the state of a deleted report, and the shared objects with the last report of a namespace.
func (r *Reconciler) forget(ctx context.Context, key types.NamespacedName) (reconcile.Result, error) {
	r.memory.forget(key)
	r.metrics.remove(key)
	var left v1alpha1.MonitoringReportList
	if err := r.client.List(ctx, &left, client.InNamespace(key.Namespace), client.Limit(1)); err != nil {
		return reconcile.Result{}, fmt.Errorf("list MonitoringReports of %s: %w", key.Namespace, err)
	}
	if len(left.Items) > 0 {
		return reconcile.Result{}, nil
	}
	seen := &observed{objects: map[objectKey]client.Object{}}
	for _, object := range sharedObjects(key.Namespace) {
		if err := r.look(ctx, seen, object); err != nil {
			return reconcile.Result{}, err
		}
	}
	o := &outcome{}
	for _, object := range seen.objects {
		if owns(nil, object) {
			r.prune(ctx, []client.Object{object}, o)
		}
	}
	return o.result()
}
