package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	leaderLease  = "watchbill-controller" // the Lease of the leader election
	stopWithin   = 20 * time.Second       // time for reconciles under way to finish
	readyTimeout = time.Second
)

// ManagerOptions are the settings of the controller.
type ManagerOptions struct {
	Options

	MetricsListen, HealthListen string // addresses; "0" disables
	LeaderElect                 bool
	LeaderElectionNamespace     string   // of the Lease; default the Pod's
	WatchNamespaces             []string // namespaces of reports; empty: all
	Registry                    prometheus.Registerer
	Log                         logr.Logger
}

// NewManager returns a manager that runs the controller.
func NewManager(ctx context.Context, config *rest.Config, o ManagerOptions) (manager.Manager, error) {
	s, err := scheme()
	if err != nil {
		return nil, fmt.Errorf("make the scheme: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // limited by the API server's priority and fairness
	mgr, err := manager.New(config, manager.Options{
		Scheme:                        s,
		Logger:                        o.Log,
		Cache:                         cacheOptions(s, o.WatchNamespaces),
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsListen},
		HealthProbeBindAddress:        o.HealthListen,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              leaderLease,
		LeaderElectionNamespace:       o.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true, // the process ends when Start returns
		GracefulShutdownTimeout:       new(stopWithin),
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	server, err := client.NewWithWatch(config, client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: s, Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	creator, err := newCreator(config, mgr.GetHTTPClient(), mgr.GetRESTMapper(), s)
	if err != nil {
		return nil, fmt.Errorf("make a client that creates: %w", err)
	}
	options := bareCacheOptions(s)
	options.HTTPClient, options.Mapper = mgr.GetHTTPClient(), mgr.GetRESTMapper()
	wide, err := cache.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("make a cache: %w", err)
	}
	series, err := newMetrics(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	r := &Reconciler{
		client:  mgr.GetClient(),
		server:  server,
		creator: creator,
		events:  mgr.GetEventRecorder(fieldManager),
		metrics: series,
		memory:  newMemory(),
		opts:    o.Options,
		now:     o.Now,
	}
	r.kinds = newKinds(mgr.GetCache(), o.WatchNamespaces, wide, server, o.Log.WithName("kinds"),
		func(ctx context.Context) []reconcile.Request { return r.reports(ctx) })
	ready := func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), readyTimeout)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the cache is not filled yet")
		}
		return nil
	}
	err = errors.Join(r.watch(ctx, mgr), mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("cache", ready))
	if err != nil {
		return nil, fmt.Errorf("set the controller up: %w", err)
	}
	return mgr, nil
}
