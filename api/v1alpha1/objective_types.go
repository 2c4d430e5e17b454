package v1alpha1

// Objective is a limit for one figure. A report measures the figure over the
// report's window, an alert over the alert's windows. Exactly one kind is set.
// The kind of an objective cannot change while its name stays the same, since
// the alerts' history is kept under the name.
//
// An objective is met below its limit (min: above it), not at it. Numbers are
// strings such as "0.999", so that they are stored as written.
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

	// latency keeps a quantile of a route's latency below a threshold.
	// +optional
	Latency *LatencyObjective `json:"latency,omitempty"`

	// errorRate keeps the share of 5xx in all responses below a limit.
	// +optional
	ErrorRate *ErrorRateObjective `json:"errorRate,omitempty"`

	// poolUtilization keeps the share of database connections in use, on the
	// worst replica, below a limit.
	// +optional
	PoolUtilization *PoolObjective `json:"poolUtilization,omitempty"`

	// queryTime keeps a quantile of the time of all database queries below a
	// threshold.
	// +optional
	QueryTime *QueryTimeObjective `json:"queryTime,omitempty"`

	// pollRate keeps the polls per second and agent near the expected rate.
	// +optional
	PollRate *PollRateObjective `json:"pollRate,omitempty"`

	// successRate keeps the share of AI agents' requests that succeeded above
	// a limit.
	// +optional
	SuccessRate *SuccessObjective `json:"successRate,omitempty"`

	// cost keeps the cost of AI agents' executions below a limit.
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

// Method is an HTTP method.
//
// +kubebuilder:validation:Enum=DELETE;GET;HEAD;OPTIONS;PATCH;POST;PUT
type Method string

// Route is a route's pattern, as in reports, such as
// /api/deployments/pending/{agent_id}.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="self.matches('^/[ -~]*$')",message="must be a route that begins with /, of ASCII, such as /api/deployments/pending/{agent_id}"
type Route string

// LatencyObjective keeps a quantile of a route's latency below a threshold.
type LatencyObjective struct {
	// route of the requests to count.
	// +required
	Route Route `json:"route,omitempty"`

	// method of the requests. Default: all methods together.
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

	// route to count. Default: all routes.
	// +optional
	Route Route `json:"route,omitempty"`
}

// PoolObjective keeps the share of database connections in use below a limit.
type PoolObjective struct {
	// max is the share that it must be below, such as "0.8".
	// +required
	Max Share `json:"max,omitempty"`
}

// QueryTimeObjective keeps a quantile of the time of all database queries
// below a threshold.
type QueryTimeObjective struct {
	// quantile of the time, such as "0.99".
	// +required
	Quantile Quantile `json:"quantile,omitempty"`

	// threshold that the quantile must be below, such as "100ms".
	// +required
	Threshold Threshold `json:"threshold,omitempty"`
}

// PollRateObjective keeps the polls per second and agent near the expected
// rate.
type PollRateObjective struct {
	// perAgent is the polls per second that an agent should make, such as
	// "0.1". While the server asks the fleet to poll less often, the requested
	// rate is the target.
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

// SuccessObjective keeps the share of AI agents' requests that succeeded above
// a limit. Timeouts count as failed.
type SuccessObjective struct {
	// min is the share that it must be above, such as "0.95".
	// +required
	Min Quantile `json:"min,omitempty"`

	// agent is the name of the agent whose requests to count. Default: all
	// agents together.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[\\pL\\pM\\pN\\pP\\pS ]*$')`,message="must be of characters that can be printed"
	Agent string `json:"agent,omitempty"`
}

// CostObjective keeps the cost of AI agents' executions below a limit.
type CostObjective struct {
	// maxUSD is the sum in US dollars that it must be below, such as "50".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,7}([.][0-9]{1,9})?$') && double(self) > 0.0 && double(self) <= 1000000.0",message="must be a decimal number above 0 and at most 1000000, such as \"50\""
	MaxUSD string `json:"maxUSD,omitempty"`

	// period of the sum: each UTC day, or the report's window. Default: Day.
	// +optional
	// +default="Day"
	Period CostPeriod `json:"period,omitempty"`
}

// CostPeriod is the period of a cost objective.
//
// +kubebuilder:validation:Enum=Day;Window
type CostPeriod string

// The periods.
const (
	PeriodDay    CostPeriod = "Day"
	PeriodWindow CostPeriod = "Window"
)
