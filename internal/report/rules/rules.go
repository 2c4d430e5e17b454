package rules

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/report"
)

// Mode is how alerts are made of objectives.
type Mode string

// The modes.
const (
	BurnRate  Mode = "BurnRate"  // by how fast the error budget of 30 days is being spent
	Threshold Mode = "Threshold" // an objective has been missed for a while
	None      Mode = "None"      // no rules at all
)

// DefaultMinEvents is how many events an alert's window must have seen, where a report does not say.
const DefaultMinEvents = 50

// DefaultRunbookURL is where the runbooks of our alerts are.
const DefaultRunbookURL = "https://github.com/watchbill/watchbill/blob/main/docs/runbooks"

// Report is what rules are made for.
type Report struct {
	Namespace, Name string
	Objectives      []report.Objective // nil: report.Defaults
	Mode            Mode               // empty: BurnRate
	MinEvents       int64              // 0: DefaultMinEvents
	Labels          map[string]string  // on the alerts; they may replace severity and tier
	RunbookURL      string             // what alerts' runbooks are under; empty: that of Options
	Window          time.Duration      // whole minutes; 0: since the slot before
	Period          Period             // that error budgets are for; empty: Days30
	Windows         []Window           // that burn rates are looked at over; nil: those of the period
	Severities      map[Tier]string    // of the alerts; they replace that of Labels
	Interval        time.Duration      // of evaluation, in whole seconds; 0: DefaultInterval
}

// Options are the same for all reports.
type Options struct {
	Selector           map[string]string // labels that all series of the API have, such as job; may be empty
	ControllerSelector map[string]string // the same for the controller's series
	RunbookURL         string            // empty: DefaultRunbookURL
	Target             Target            // what evaluates the rules; empty: Prometheus
	Routes             []Route           // that the API has, for notes about objectives of others; empty: not known
}

// File is a rule file of Prometheus.
type File struct {
	Groups []Group `json:"groups" yaml:"groups"`
}

// Group is a list of rules that are evaluated in their order, so that each sees what those before it recorded.
type Group struct {
	Name     string `json:"name" yaml:"name"`
	Interval string `json:"interval,omitempty" yaml:"interval,omitempty"` // a duration of Prometheus', as all below
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
	Text      string // goes on after the name: "alerts by threshold: …"
}

// Build returns the rules of a report: none if its mode is None. Its error is report.FieldErrors, with every fault, its
// field's path as in objectives[1].latency.threshold, and what to change.
//
// Prometheus takes what Build returns, and Verify would find no fault in it: all that people wrote is checked here, and gets
// into expressions and templates through quote.go alone.
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

// Check returns what Build would refuse of a report's fields, without the cost of building: all but rules that are too many.
func Check(r Report, o Options) error {
	_, err := newPlan(r, o)
	return err
}

// Verify has Prometheus' own parser read the file, and returns what it refuses. It takes many times as long as Build, so
// that it is for tests, and for files that people take away with them.
func (f File) Verify() error {
	text, err := f.YAML()
	if err != nil {
		return err
	}
	if _, faults := rulefmt.Parse(text, false, model.LegacyValidation); len(faults) > 0 {
		return fmt.Errorf("rules that Prometheus refuses: %w", errors.Join(faults...))
	}
	return nil
}

// YAML returns the file as Prometheus and promtool read it.
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
