// Package desired builds the objects of a MonitoringReport: the CronJob and Jobs that create its reports, the PrometheusRule
// for its objectives, and the account with which a namespace's reports authenticate to the API. It uses no client, context
// or clock. The objects contain only the fields that the controller owns; others are left to the API server and other
// writers. The same report always yields the same objects, so that nothing is written while nothing changes.
//
// Check must be called first: the builders require a report without faults. The controllers apply the objects.
package desired

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/watchbill/watchbill/internal/report/rules"
)

// Options are the inputs of the objects other than the report.
type Options struct {
	Image            string
	ImagePullPolicy  corev1.PullPolicy // empty: the cluster's default
	ImagePullSecrets []string
	Server           string   // URL of the API, as Pods reach it
	AllowedOutputs   []string // see job.ParseAllowed; empty: anywhere
	Resources        corev1.ResourceRequirements
	Rules            rules.Options
}
