// Package desired says what a MonitoringReport becomes: the CronJob and the Jobs that make its reports, the PrometheusRule
// for its objectives, and the account that a namespace's reports show to the API. It is pure: no client, context or clock.
// What it returns holds only what we mean to own, so that all else is left to the API server and to whoever else writes
// there; and the same report always becomes the same objects, so that nothing is written while nothing changes.
//
// Check comes first: the builders take a report that it found no fault in. Applying what they return is controllers' work.
package desired

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/watchbill/watchbill/internal/report/rules"
)

// Options are what the objects need besides the report.
type Options struct {
	Image            string
	ImagePullPolicy  corev1.PullPolicy // empty: the cluster's own rule
	ImagePullSecrets []string
	Server           string   // URL of the API, as Pods reach it
	AllowedOutputs   []string // see job.ParseAllowed; empty: anywhere
	Resources        corev1.ResourceRequirements
	Rules            rules.Options
}
