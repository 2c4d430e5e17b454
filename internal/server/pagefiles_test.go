package server

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
)

// Files of the web page are counted under one route, whatever their paths, and have lines in the log at debug only.
func TestFilesOfThePageAreCountedUnderOneRoute(t *testing.T) {
	t.Parallel()
	for level, lines := range map[string]int{"info": 0, "debug": 3} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			log := &syncBuffer{}
			a := newAPI(t, func(o *Options) {
				o.Recorder = metrics.NewRecorder(registry, time.Now())
				logs, err := logging.New(logging.Options{Stdout: log, Stderr: t.Output(), Level: level, Now: time.Now})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = logs.Close() })
				log.sync = logs.Sync
				o.Requests = logging.NewRequestLogger(logs, time.Now)
			})
			a.log = log
			for path, status := range map[string]int{
				"/ui/overview": http.StatusOK, "/ui/" + adminToken: http.StatusNotModified, "/ui/assets/gone.js?admin_token=" + adminToken: http.StatusNotFound,
			} {
				a.ObserveFile(httptest.NewRequest(http.MethodGet, path, http.NoBody), status, 10, time.Millisecond)
			}
			got := codesOf(t, registry, "/ui/")
			if want := map[string]float64{"GET 200": 1, "GET 304": 1, "GET 401": 0, "GET 404": 1}; !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if found := a.logged(t, "request"); len(found) != lines {
				t.Errorf("got %d lines at %s, want %d: %+v", len(found), level, lines, found)
			}
		})
	}
}

// codesOf returns the counts of a route's requests, of all audiences, by method and status.
func codesOf(t *testing.T, registry *prometheus.Registry, route string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["route"] == route && labels["code"] != "" {
				counts[labels["method"]+" "+labels["code"]] += m.GetCounter().GetValue()
			}
		}
	}
	return counts
}
