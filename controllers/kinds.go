package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/watchbill/watchbill/internal/text"
)

const (
	minRecheck = 100 * time.Millisecond // after a CustomResourceDefinition changed; doubled each time
	maxRecheck = time.Minute            // also the delay before changed permissions are noticed
	syncWithin = 15 * time.Second       // deadline for reading a kind's objects
)

var (
	gvkPrometheusRule = monitoringv1.SchemeGroupVersion.WithKind("PrometheusRule")
	gvkPrometheus     = monitoringv1.SchemeGroupVersion.WithKind("Prometheus")
	gvkThanosRuler    = monitoringv1.SchemeGroupVersion.WithKind("ThanosRuler")
	gvkNamespace      = corev1.SchemeGroupVersion.WithKind("Namespace")
	gvkDefinition     = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
)

// availability is whether a kind's objects can be read.
type availability int32

const (
	missing    availability = iota // the cluster does not have the kind
	unreadable                     // no permission to list or watch it
	available                      // they are in the cache
)

// kind is a kind that a cluster may lack or not let the controller read. While it is available its objects are cached.
type kind struct {
	gvk        schema.GroupVersionKind
	object     client.Object // what the cache has of it
	cache      cache.Cache
	namespaces []string // the namespaces to read
	changed    func(before, after client.Object)
	state      atomic.Int32
	known      bool // whether state was determined
}

func (k *kind) is() availability { return availability(k.state.Load()) }

// kinds watches kinds that not every cluster has or lets the controller read: those of the Prometheus operator, and
// namespaces' labels. It is a Runnable and a Source of the controller, whose workers wait until it has looked once.
type kinds struct {
	wide   cache.Cache // of the whole cluster, whichever namespaces are watched
	server client.WithWatch
	log    logr.Logger
	all    func(context.Context) []reconcile.Request // every report
	looked chan struct{}                             // closed once all states are known
	lookC  chan struct{}                             // a CustomResourceDefinition changed
	queue  atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]

	rules, prometheuses, rulers, labels *kind
}

// newKinds returns kinds that read PrometheusRules from watched and its namespaces, all if there are none, and the rest from
// wide.
func newKinds(watched cache.Cache, namespaces []string, wide cache.Cache, server client.WithWatch, log logr.Logger, all func(context.Context) []reconcile.Request) *kinds {
	everywhere := []string{metav1.NamespaceAll}
	if len(namespaces) == 0 {
		namespaces = everywhere
	}
	k := &kinds{wide: wide, server: server, log: log, all: all, looked: make(chan struct{}), lookC: make(chan struct{}, 1)}
	k.rules = &kind{gvk: gvkPrometheusRule, object: &monitoringv1.PrometheusRule{}, cache: watched, namespaces: namespaces, changed: k.ruleChanged}
	k.prometheuses = &kind{gvk: gvkPrometheus, object: unstructuredOf(gvkPrometheus), cache: wide, namespaces: everywhere, changed: k.evaluatorChanged}
	k.rulers = &kind{gvk: gvkThanosRuler, object: unstructuredOf(gvkThanosRuler), cache: wide, namespaces: everywhere, changed: k.evaluatorChanged}
	k.labels = &kind{gvk: gvkNamespace, object: &corev1.Namespace{}, cache: wide, namespaces: everywhere, changed: k.namespaceChanged}
	return k
}

// Start looks for the kinds periodically until ctx is done: immediately when a CustomResourceDefinition changes and then a
// few times more, since the API server takes a moment to serve it.
func (k *kinds) Start(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { k.watchDefinitions(ctx) })
	watching.Go(func() {
		if err := k.wide.Start(ctx); err != nil {
			k.log.Error(err, "the cache of the cluster's kinds ended")
		}
	})
	defer watching.Wait()
	pause := minRecheck
	timer := time.NewTimer(0)
	defer timer.Stop()
	for started := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-k.lookC:
			pause = minRecheck
		case <-timer.C:
		}
		changed, known := false, true
		for _, one := range []*kind{k.labels, k.prometheuses, k.rulers, k.rules} {
			changed = k.look(ctx, one) || changed
			known = known && one.known
		}
		switch {
		case !started && known:
			started = true
			close(k.looked)
		case changed:
			k.enqueue(k.all(ctx)...)
		}
		timer.Reset(pause)
		pause = min(2*pause, maxRecheck)
	}
}

// look checks whether a kind is available, updates the cache, and reports whether that changed.
func (k *kinds) look(ctx context.Context, one *kind) bool {
	before, now := one.is(), available
	for _, namespace := range one.namespaces {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(one.gvk.GroupVersion().WithKind(one.gvk.Kind + "List"))
		err := k.server.List(ctx, list, client.InNamespace(namespace), client.Limit(1))
		switch {
		case err == nil:
		case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
			now = missing
		case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
			now = min(now, unreadable)
		default:
			return false // the API server is unreachable: the state stays
		}
	}
	if now == available && before != available {
		if err := k.watch(ctx, one); err != nil {
			if ctx.Err() != nil {
				return false
			}
			k.log.Error(err, "cannot watch a kind; trying again", "kind", one.gvk.Kind)
			now = unreadable
		}
	}
	if now != available && before == available {
		k.unwatch(ctx, one)
	}
	one.state.Store(int32(now))
	if one.known && now == before {
		return false
	}
	one.known = true
	k.log.Info("looked for a kind", "kind", one.gvk.Kind, "state", now.String())
	return true
}

// watch caches a kind's objects.
func (k *kinds) watch(ctx context.Context, one *kind) error {
	informer, err := one.cache.GetInformer(ctx, one.object, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch %s: %w", one.gvk.Kind, err)
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(added any) { k.enqueueChanged(one, nil, added) },
		UpdateFunc: func(before, after any) { k.enqueueChanged(one, before, after) },
		DeleteFunc: func(deleted any) {
			if last, ok := deleted.(toolscache.DeletedFinalStateUnknown); ok {
				deleted = last.Obj
			}
			k.enqueueChanged(one, deleted, nil)
		},
	})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, syncWithin)
		defer cancel()
		if toolscache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
			return nil
		}
		err = fmt.Errorf("its objects were not read within %s", text.Duration(syncWithin))
	}
	k.unwatch(context.WithoutCancel(ctx), one)
	return fmt.Errorf("watch %s: %w", one.gvk.Kind, err)
}

// unwatch removes a kind from the cache, which would keep requesting it.
func (k *kinds) unwatch(ctx context.Context, one *kind) {
	if err := one.cache.RemoveInformer(ctx, one.object); err != nil {
		k.log.Error(err, "cannot stop watching", "kind", one.gvk.Kind)
	}
}

// enqueueChanged enqueues the reports that a changed object concerns. before is nil for a new object and after for a deleted one.
func (k *kinds) enqueueChanged(one *kind, before, after any) {
	old, _ := before.(client.Object)
	young, _ := after.(client.Object)
	one.changed(old, young)
}

func (k *kinds) enqueue(requests ...reconcile.Request) {
	if waiting := k.queue.Load(); waiting != nil {
		for _, request := range requests {
			(*waiting).Add(request)
		}
	}
}

func (k *kinds) ruleChanged(before, after client.Object) {
	object := after
	if after == nil {
		object = before
	}
	k.enqueue(reportNamedBy(object)...)
}

func (k *kinds) evaluatorChanged(before, after client.Object) {
	if before == nil || after == nil || !sameSpecs(before, after) {
		k.enqueue(k.all(context.Background())...)
	}
}

func (k *kinds) namespaceChanged(before, after client.Object) {
	if before == nil || after == nil || sameLabels(before, after) {
		return // a new namespace has no reports yet
	}
	for _, request := range k.all(context.Background()) {
		if request.Namespace == after.GetName() {
			k.enqueue(request)
		}
	}
}

// source returns the Source by which the controller receives requests of kinds and waits for its first look.
func (k *kinds) source() *kindsSource { return &kindsSource{k} }

type kindsSource struct{ kinds *kinds }

// Start is called by the controller.
func (s *kindsSource) Start(_ context.Context, waiting workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	s.kinds.queue.Store(&waiting)
	return nil
}

// WaitForSync is called by the controller before it starts: without a first look all kinds would appear missing.
func (s *kindsSource) WaitForSync(ctx context.Context) error {
	select {
	case <-s.kinds.looked:
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil // shutting down
		}
		return fmt.Errorf("look for the Prometheus operator's kinds: %w", ctx.Err())
	}
}

func (a availability) String() string {
	return map[availability]string{missing: "missing", unreadable: "unreadable", available: "available"}[a]
}
