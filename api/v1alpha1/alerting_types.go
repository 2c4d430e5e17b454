package v1alpha1

// Alerting says how Prometheus alerts about the objectives.
type Alerting struct {
	// mode is BurnRate (an alert says how fast the error budget of 30 days is
	// being spent, over two windows at once), Threshold (an alert says that an
	// objective has been missed for a while) or None. What has no error budget, or
	// one so large that a burn rate could never be reached, is alerted about by
	// threshold in either mode. Default: BurnRate.
	// +optional
	// +default="BurnRate"
	Mode AlertingMode `json:"mode,omitempty"`

	// minEvents is how many events (requests, queries, executions) an alert's
	// window must have seen: without it, one failure in a quiet night is a page.
	// Default: 50.
	// +optional
	// +default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	MinEvents int64 `json:"minEvents,omitempty"`

	// labels are set on the alerts, for Alertmanager's routes. severity,
	// objective, report and report_namespace are set already; severity may be
	// replaced here.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !name.startsWith('__') && !(name in ['alertname', 'objective', 'report', 'report_namespace', 'window']))",message="must be named like Prometheus's, and not alertname, objective, report, report_namespace or window"
	Labels map[string]AlertLabelValue `json:"labels,omitempty"`

	// ruleLabels are set on the PrometheusRule, so that a Prometheus selects it;
	// often release: <the Prometheus's name>.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.size() <= 317 && name.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && !name.startsWith('app.kubernetes.io/') && !name.startsWith('monitoring.watchbill.dev/'))",message="must be named like Kubernetes's labels, and not of app.kubernetes.io or monitoring.watchbill.dev"
	RuleLabels map[string]RuleLabelValue `json:"ruleLabels,omitempty"`

	// runbookURL is where the alerts' runbooks are: an alert's name and .md are
	// added. Left out: Watchbill's own.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?://[!-~]+)?$')",message="must be a URL of http or https"
	RunbookURL string `json:"runbookURL,omitempty"`
}

// AlertLabelValue is the value of an alert's label.
//
// +kubebuilder:validation:MaxLength=256
type AlertLabelValue string

// RuleLabelValue is the value of a label in Kubernetes.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",message="must be a value that Kubernetes's labels can have"
type RuleLabelValue string

// AlertingMode is how alerts are made of objectives.
//
// +kubebuilder:validation:Enum=BurnRate;Threshold;None
type AlertingMode string

// The modes.
const (
	AlertBurnRate  AlertingMode = "BurnRate"
	AlertThreshold AlertingMode = "Threshold"
	AlertNone      AlertingMode = "None"
)
