package v1alpha1

// Alerting configures the Prometheus alerts of the objectives.
type Alerting struct {
	// mode is BurnRate (alert when the error budget of the period is being
	// spent too fast, measured over two windows), Threshold (alert when an
	// objective has been missed for a while) or None. Objectives without an
	// error budget, or with one so large that a burn rate could never be
	// reached, use a threshold in either mode. Default: BurnRate.
	// +optional
	// +default="BurnRate"
	Mode AlertingMode `json:"mode,omitempty"`

	// minEvents is the minimum number of events (requests, queries,
	// executions) in an alert's window. It keeps a single failure at a quiet
	// time from firing an alert. Default: 50.
	// +optional
	// +default=50
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	MinEvents int64 `json:"minEvents,omitempty"`

	// period is the period of error budgets: the last 7, 28 or 30 days, or the
	// calendar month by UTC (Month). Default: 30d.
	// +optional
	// +default="30d"
	Period BudgetPeriod `json:"period,omitempty"`

	// windows are the windows of burn rates, each with an alert. Default: 1h,
	// 6h, 24h and 72h, with the factors of Google's Site Reliability Workbook
	// for the period.
	// +optional
	// +listType=map
	// +listMapKey=long
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Windows []AlertWindow `json:"windows,omitempty"`

	// severities are the severities of the alerts of each tier. Default: the
	// severity in labels, or critical for fast and warning for slow.
	// +optional
	Severities *AlertSeverities `json:"severities,omitempty"`

	// interval is how often the rules are evaluated, in whole seconds from 10s
	// to 2m. Remaining budgets are evaluated half as often. Default: 1m.
	// +optional
	// +default="1m"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,2}m)?([0-9]{1,3}s)?$') && duration(self) >= duration('10s') && duration(self) <= duration('2m')",message="must be whole seconds from 10s to 2m, such as 30s"
	Interval string `json:"interval,omitempty"`

	// labels are set on the alerts, for Alertmanager's routes. severity, tier,
	// objective, report and report_namespace are set already; severity and tier
	// may be replaced here.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !name.startsWith('__') && !(name in ['alertname', 'objective', 'report', 'report_namespace', 'window']))",message="must be named like Prometheus's, and not alertname, objective, report, report_namespace or window"
	Labels map[string]AlertLabelValue `json:"labels,omitempty"`

	// ruleLabels are set on the PrometheusRule, so that a Prometheus selects
	// it, often release: <the name of the Prometheus>.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.size() <= 317 && name.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && !name.startsWith('app.kubernetes.io/') && !name.startsWith('monitoring.watchbill.dev/'))",message="must be named like Kubernetes's labels, and not of app.kubernetes.io or monitoring.watchbill.dev"
	RuleLabels map[string]RuleLabelValue `json:"ruleLabels,omitempty"`

	// runbookURL is the base URL of the alerts' runbooks, to which an alert's
	// name and .md are appended. Default: Watchbill's runbooks.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?://[!-~]+)?$')",message="must be a URL of http or https"
	RunbookURL string `json:"runbookURL,omitempty"`
}

// BudgetPeriod is the period of error budgets.
//
// +kubebuilder:validation:Enum="7d";"28d";"30d";Month
type BudgetPeriod string

// The periods.
const (
	Budget7Days  BudgetPeriod = "7d"
	Budget28Days BudgetPeriod = "28d"
	Budget30Days BudgetPeriod = "30d"
	BudgetMonth  BudgetPeriod = "Month"
)

// AlertWindow is a pair of windows. An alert fires when the share of bad
// events is more than factor times the error budget over both.
//
// +kubebuilder:validation:XValidation:rule="!has(self.short) || !has(self.long) || self.short.size() == 0 || self.long.size() == 0 || !self.short.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?$') || !self.long.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?$') || duration(self.short) < duration(self.long)",message="short must be less than long"
type AlertWindow struct {
	// long is the window over which a burn rate is significant, in whole
	// minutes, more than 5m and at most the period, such as 1h. It is unique.
	// +required
	Long WindowLength `json:"long,omitempty"`

	// short is the window over which the burn rate is current, at least 5m.
	// Default: a twelfth of long.
	// +optional
	Short WindowLength `json:"short,omitempty"`

	// factor is the burn rate above which the alert fires, such as "14.4". A
	// budget that lasts exactly for its period burns at 1.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=14
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,4}([.][0-9]{1,9})?$') && double(self) > 0.0 && double(self) <= 1000.0",message="must be a decimal number above 0 and at most 1000, such as \"14.4\""
	Factor string `json:"factor,omitempty"`

	// tier is fast (needs attention now) or slow (needs attention today).
	// Alertmanager can inhibit by it. Default: fast if long is less than a
	// day, otherwise slow.
	// +optional
	Tier AlertTier `json:"tier,omitempty"`

	// severity of the alert. Default: the severity of the tier.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Severity AlertLabelValue `json:"severity,omitempty"`

	// for is how long the burn rate must exceed factor before the alert fires,
	// at most 24h. Default: 2m for fast alerts, 15m for slow ones.
	// +optional
	For AlertDelay `json:"for,omitempty"`

	// keepFiringFor is how long the alert keeps firing after the burn rate has
	// fallen, at most 24h. Default: 15m for fast alerts, 30m for slow ones.
	// +optional
	KeepFiringFor AlertDelay `json:"keepFiringFor,omitempty"`
}

// WindowLength is a duration of whole minutes from 5m to 744h.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=12
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?$') && duration(self) >= duration('5m') && duration(self) <= duration('744h')",message="must be whole minutes from 5m to 744h, such as 6h or 1h30m"
type WindowLength string

// AlertDelay is a duration of whole seconds up to 24h.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,2}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$') && duration(self) <= duration('24h')",message="must be whole seconds up to 24h, such as 2m or 0s"
type AlertDelay string

// AlertTier is the urgency of an alert.
//
// +kubebuilder:validation:Enum=fast;slow
type AlertTier string

// The tiers.
const (
	TierFast AlertTier = "fast"
	TierSlow AlertTier = "slow"
)

// AlertSeverities are the severities of the alerts of each tier.
type AlertSeverities struct {
	// fast is the severity of alerts that need attention now.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Fast AlertLabelValue `json:"fast,omitempty"`

	// slow is the severity of alerts that need attention today.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Slow AlertLabelValue `json:"slow,omitempty"`
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

// AlertingMode determines the alerts of objectives.
//
// +kubebuilder:validation:Enum=BurnRate;Threshold;None
type AlertingMode string

// The modes.
const (
	AlertBurnRate  AlertingMode = "BurnRate"
	AlertThreshold AlertingMode = "Threshold"
	AlertNone      AlertingMode = "None"
)
