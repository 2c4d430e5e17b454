package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

const (
	maxScrapes    = 4 // at once; more get 503
	scrapeTimeout = 10 * time.Second
)

// BuildInfo identifies the program's build.
type BuildInfo struct {
	Version, GoVersion string
}

// NewRegistry returns a registry with the metrics of the Go runtime, the process and the build.
func NewRegistry(build BuildInfo) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "watchbill_build_info",
		Help:        "Always 1; the labels say what program this is.",
		ConstLabels: prometheus.Labels{"version": build.Version, "goversion": build.GoVersion},
	})
	info.Set(1)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return reg
}

// Handler serves a registry as /metrics: as text, OpenMetrics or the protobuf that native histograms require, depending
// on the request. If a collector fails, the error is logged and the other metrics are served.
func Handler(reg *prometheus.Registry, log *zap.Logger) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            scrapeLog{log},
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// scrapeLog implements promhttp.Logger.
type scrapeLog struct{ log *zap.Logger }

func (l scrapeLog) Println(v ...any) { l.log.Sugar().Warnln(v...) }
