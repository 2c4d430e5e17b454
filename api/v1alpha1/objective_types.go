package v1alpha1

// Objective is what one figure should be. A report measures it over its
// window, an alert over the alert's own. Exactly one kind is set, and an
// objective stays of its kind for as long as its name does: the alerts'
// history is kept under the name.
//
// Limits are met below them (min: above it), never at them. Numbers are
// strings such as "0.999", so that they stay what was written.
//
// +kubebuilder:validation:XValidation:rule="[has(self.latency), has(self.errorRate), has(self.poolUtilization), has(self.queryTime), has(self.pollRate), has(self.successRate), has(self.cost)].filter(set, set).size() == 1",message="exactly one of latency, errorRate, poolUtilization, queryTime, pollRate, successRate and cost must be set"
// +kubebuilder:validation:XValidation:rule="has(self.latency) == has(oldSelf.latency) && has(self.errorRate) == has(oldSelf.errorRate) && has(self.poolUtilization) == has(oldSelf.poolUtilization) && has(self.queryTime) == has(oldSelf.queryTime) && has(self.pollRate) == has(oldSelf.pollRate) && has(self.successRate) == has(oldSelf.successRate) && has(self.cost) == has(oldSelf.cost)",message="an objective cannot become one of another kind; give the new one another name"
type Objective struct {
	// name of the objective, unique in the report. It becomes a label of the
	// alerts.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must be of a-z, 0-9 and -, and begin and end with a letter or digit"
	Name string `json:"name,omitempty"`

	// latency holds a quantile of a route's latency below a threshold.
	// +optional
	Latency *LatencyObjective `json:"latency,omitempty"`

	// errorRate keeps the share of 5xx in all responses below a limit.
	// +optional
	ErrorRate *ErrorRateObjective `json:"errorRate,omitempty"`

	// poolUtilization holds the share of database connections in use, on the worst
	// replica, below a limit.
	// +optional
	PoolUtilization *PoolObjective `json:"poolUtilization,omitempty"`

	// queryTime holds a quantile of the time of all database queries below a
	// threshold.
	// +optional
	QueryTime *QueryTimeObjective `json:"queryTime,omitempty"`

	// pollRate holds the polls per second and agent near what they should be.
	// +optional
	PollRate *PollRateObjective `json:"pollRate,omitempty"`

	// successRate holds the share of AI agents' requests that succeeded above a
	// limit.
	// +optional
	SuccessRate *SuccessObjective `json:"successRate,omitempty"`

	// cost holds what AI agents' executions cost below a limit.
	// +optional
	Cost *CostObjective `json:"cost,omitempty"`
}

// Quantile is a decimal number between 0 and 1, such as "0.95".
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=11
// +kubebuilder:validation:XValidation:rule="self.matches('^0[.][0-9]{1,9}$') && double(self) > 0.0",message="must be a decimal number between 0 and 1, such as \"0.95\""
type Quantile string

// Share is a decimal number above 0 and at most 1, such as "0.01".
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=11
// +kubebuilder:validation:XValidation:rule="self.matches('^[01]([.][0-9]{1,9})?$') && double(self) > 0.0 && double(self) <= 1.0",message="must be a decimal number above 0 and at most 1, such as \"0.01\""
type Share string

// Threshold is a duration that latencies are compared with, such as "200ms".
// For an alert it must be one of the bounds of the histogram: 1ms, 2.5ms, 5ms,
// 10ms, 25ms, 50ms, 100ms, 200ms, 500ms, 1s, 2.5s, 5s, 10s or 30s.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,7}([.][0-9]{1,6})?(us|ms|s|m)$') && duration(self) >= duration('1us') && duration(self) <= duration('10m')",message="must be a duration from 1us to 10m, such as \"200ms\""
type Threshold string

// Method is one of HTTP's.
//
// +kubebuilder:validation:Enum=DELETE;GET;HEAD;OPTIONS;PATCH;POST;PUT
type Method string

// Route is a pattern, as reports name it, such as
// /api/deployments/pending/{agent_id}.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="self.matches('^/[ -~]*$')",message="must be a route that begins with /, of ASCII, such as /api/deployments/pending/{agent_id}"
type Route string

// LatencyObjective holds a quantile of a route's latency below a threshold.
type LatencyObjective struct {
	// route whose requests are meant.
	// +required
	Route Route `json:"route,omitempty"`

	// method of the requests. Left out: all of them together.
	// +optional
	Method Method `json:"method,omitempty"`

	// quantile of the latency, such as "0.95".
	// +required
	Quantile Quantile `json:"quantile,omitempty"`

	// threshold that the quantile must be below, such as "200ms".
	// +required
	Threshold Threshold `json:"threshold,omitempty"`
}

// ErrorRateObjective keeps the share of 5xx in all responses below a limit.
type ErrorRateObjective struct {
	// max is the share that it must be below, such as "0.01".
	// +required
	Max Share `json:"max,omitempty"`

	// route to count. If omitted: all of them.
	// +optional
	Route Route `json:"route,omitempty"`
}

// PoolObjective holds the share of database connections in use below a limit.
type PoolObjective struct {
	// max is the share that it must be below, such as "0.8".
	// +required
	Max Share `json:"max,omitempty"`
}

// QueryTimeObjective holds a quantile of the time of all database queries
// below a threshold.
type QueryTimeObjective struct {
	// quantile of the time, such as "0.99".
	// +required
	Quantile Quantile `json:"quantile,omitempty"`

	// threshold that the quantile must be below, such as "100ms".
	// +required
	Threshold Threshold `json:"threshold,omitempty"`
}

// PollRateObjective holds the polls per second and agent near what they should
// be.
type PollRateObjective struct {
	// perAgent is the polls per second that an agent should make, such as "0.1".
	// Where the server asks the fleet to poll less often, that is the target.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=14
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,4}([.][0-9]{1,9})?$') && double(self) > 0.0 && double(self) <= 1000.0",message="must be a decimal number above 0 and at most 1000, such as \"0.1\""
	PerAgent string `json:"perAgent,omitempty"`

	// tolerance is how far from the target the rate may be, as a share of the
	// target, such as "0.5".
	// +required
	Tolerance Share `json:"tolerance,omitempty"`
}

// SuccessObjective holds the share of AI agents' requests that succeeded above
// a limit. Timeouts have failed.
type SuccessObjective struct {
	// min is the share that it must be above, such as "0.95".
	// +required
	Min Quantile `json:"min,omitempty"`

	// agent whose requests are meant, by its name. Left out: all agents together.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[\\pL\\pM\\pN\\pP\\pS ]*$')`,message="must be of characters that can be printed"
	Agent string `json:"agent,omitempty"`
}

// CostObjective holds what AI agents' executions cost below a limit.
type CostObjective struct {
	// maxUSD is the sum in US dollars that it must be below, such as "50".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,7}([.][0-9]{1,9})?$') && double(self) > 0.0 && double(self) <= 1000000.0",message="must be a decimal number above 0 and at most 1000000, such as \"50\""
	MaxUSD string `json:"maxUSD,omitempty"`

	// period that the sum is for: each UTC day, or the report's window. Default:
	// Day.
	// +optional
	// +default="Day"
	Period CostPeriod `json:"period,omitempty"`
}

// CostPeriod is what a budget is for.
//
// +kubebuilder:validation:Enum=Day;Window
type CostPeriod string

// The periods.
const (
	PeriodDay    CostPeriod = "Day"
	PeriodWindow CostPeriod = "Window"
)
