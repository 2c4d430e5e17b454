package rules

import (
	"bytes"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/objective"
)

// Mode is the kind of alerts made from objectives.
type Mode string

// The modes.
const (
	BurnRate  Mode = "BurnRate"  // the error budget of a period is being used up too fast
	Threshold Mode = "Threshold" // an objective has been missed for a while
	None      Mode = "None"      // no rules at all
)

// DefaultMinEvents is the default minimum number of events in an alert's window.
const DefaultMinEvents = 50

// DefaultRunbookURL is the default URL of the alerts' runbooks.
const DefaultRunbookURL = "https://github.com/watchbill/watchbill/blob/main/docs/runbooks"

// Report is a report for which rules are generated.
type Report struct {
	Namespace, Name string
	Objectives      objective.Set
	Mode            Mode              // empty: BurnRate
	MinEvents       int64             // 0: DefaultMinEvents
	Labels          map[string]string // on the alerts; they may replace severity and tier
	RunbookURL      string            // base URL of the runbooks; empty: that of Options
	Window          time.Duration     // whole minutes; 0: since the previous slot
	Period          Period            // of error budgets; empty: Days30
	Windows         []Window          // of burn-rate alerts; nil: those of the period
	Severities      map[Tier]string   // of the alerts; they replace that of Labels
	Interval        time.Duration     // of evaluation, in whole seconds; 0: DefaultInterval
}

// Options are the same for all reports.
type Options struct {
	Selector           map[string]string // labels that all series of the API have, such as job; may be empty
	ControllerSelector map[string]string // the same for the controller's series
	RunbookURL         string            // empty: DefaultRunbookURL
	Target             Target            // the program that evaluates the rules; empty: Prometheus
	Routes             []Route           // the API's routes, for notes about objectives of other routes; may be empty
}

// File is a rule file of Prometheus.
type File struct {
	Groups []Group `json:"groups" yaml:"groups"`
}

// Group is a list of rules that are evaluated in order, so that each sees the recordings of earlier ones.
type Group struct {
	Name     string `json:"name" yaml:"name"`
	Interval string `json:"interval,omitempty" yaml:"interval,omitempty"` // in Prometheus's format, as all durations below
	Rules    []Rule `json:"rules" yaml:"rules"`
}

// Rule records a series or alerts.
type Rule struct {
	Record        string            `json:"record,omitempty" yaml:"record,omitempty"`
	Alert         string            `json:"alert,omitempty" yaml:"alert,omitempty"`
	Expr          string            `json:"expr" yaml:"expr"`
	For           string            `json:"for,omitempty" yaml:"for,omitempty"`
	KeepFiringFor string            `json:"keep_firing_for,omitempty" yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `json:"labels,omitempty" yaml:"labels,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty" yaml:"annotations,omitempty"`
}

// Note is something that the author of an objective should know about its alert.
type Note struct {
	Objective string // its name
	Text      string // continues after the name: "alerts by threshold: …"
}

// Build returns the rules of a report: none if its mode is None. Its error is report.FieldErrors with every fault: the
// field's path, such as objectives[1].latency.threshold, and what to change.
//
// Prometheus accepts the rules that Build returns, which tests check with its parser: all user input is validated here, and
// inserted into expressions and templates only by quote.go.
func Build(r Report, o Options) (File, []Note, error) {
	p, err := newPlan(r, o)
	if err != nil {
		return File{}, nil, err
	}
	file := p.file()
	if err := file.tooLarge(); err != nil {
		return File{}, nil, err
	}
	return file, p.notes(), nil
}

// Check returns Build's error without the cost of building, except that it does not detect a file that is too large.
func Check(r Report, o Options) error {
	_, err := newPlan(r, o)
	return err
}

// YAML returns the file in the format of Prometheus and promtool.
func (f File) YAML() ([]byte, error) {
	if f.Groups == nil {
		f.Groups = []Group{}
	}
	return encode(f)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	err := encoder.Encode(v)
	if err == nil {
		err = encoder.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), nil
}
