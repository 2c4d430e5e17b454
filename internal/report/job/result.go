package job

import (
	"time"

	"github.com/watchbill/watchbill/internal/report"
)

// MaxMessage is the maximum size of a termination message in bytes; the kubelet cuts longer ones.
const MaxMessage = 4096

// Result is the result of a run. If Error is set there is no report.
type Result struct {
	ReportID    string          `json:"reportID,omitempty"`
	Window      *report.Window  `json:"window,omitempty"`
	CompletedAt time.Time       `json:"completedAt"`
	Verdict     report.Verdict  `json:"verdict,omitempty"`
	Summary     string          `json:"summary,omitempty"` // the verdict in a sentence
	Objectives  []Objective     `json:"objectives,omitempty"`
	Outputs     []OutputOutcome `json:"outputs,omitempty"` // in the order of the spec's
	Error       string          `json:"error,omitempty"`   // why there is no report

	// The number of objectives and outputs dropped to fit the message.
	ObjectivesLeftOut int `json:"objectivesLeftOut,omitempty"`
	OutputsLeftOut    int `json:"outputsLeftOut,omitempty"`
}

// Objective is a measured objective as text.
type Objective struct {
	Name            string `json:"n"`
	Target          string `json:"t"`           // "< 200 ms"
	Actual          string `json:"a,omitempty"` // empty: no data
	Met             *bool  `json:"m,omitempty"` // nil: no data
	BudgetRemaining string `json:"b,omitempty"` // "62 %"; empty: it has no error budget
}

// OutputOutcome is the outcome of the delivery to one output.
type OutputOutcome struct {
	Output    string `json:"o"` // "s3://bucket/prefix"
	Delivered bool   `json:"d"`
	Message   string `json:"m,omitempty"` // why it failed, or a lesser failure
}
