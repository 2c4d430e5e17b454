package report

import (
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/text"
)

// DefaultName is the name of a report whose request has none.
const DefaultName = "report"

// titled returns the name as it follows the word Report in a heading; nothing for the default name.
func titled(name string) string {
	if name == DefaultName {
		return ""
	}
	return " " + name
}

// Section is a part of the report. Its name is the same in requests and as a key of the document.
type Section string

// The sections that a request can select.
const (
	SectionSummary            Section = "summary"
	SectionEndpoints          Section = "endpoints"
	SectionPendingDeployments Section = "pendingDeployments"
	SectionDatabasePool       Section = "databasePool"
	SectionQueries            Section = "queries"
	SectionIndexes            Section = "indexes"
	SectionErrors             Section = "errors"
	SectionExecutions         Section = "executions"
	SectionCosts              Section = "costs"
	SectionUsers              Section = "users"
)

// AllSections returns all sections, in the order in which reports show them.
func AllSections() []Section {
	return []Section{
		SectionSummary, SectionEndpoints, SectionPendingDeployments, SectionDatabasePool, SectionQueries, SectionIndexes,
		SectionErrors, SectionExecutions, SectionCosts, SectionUsers,
	}
}

// CompareWith selects what a report is compared with.
type CompareWith string

// What a report can be compared with.
const (
	ComparePrevious CompareWith = "Previous" // the window of the same length right before
	CompareNone     CompareWith = "None"
)

// Input is a request for a report as sent by a client. All fields are optional. Decode it strictly.
type Input struct {
	Name        string                `json:"name,omitempty"`         // for people, at most 100 characters
	Hours       *int64                `json:"hours,omitempty"`        // the window is the last Hours hours
	From        string                `json:"from,omitempty"`         // or from one RFC 3339 time …
	To          string                `json:"to,omitempty"`           // … up to another
	Sections    []string              `json:"sections,omitempty"`     // default: all
	Objectives  []objective.Objective `json:"objectives,omitempty"`   // default: objective.Defaults
	CompareWith CompareWith           `json:"compare_with,omitempty"` // default: Previous
	Keep        *int64                `json:"keep,omitempty"`         // reports of the name to keep, with this one; default: all
}

// Request is a valid request for a report.
type Request struct {
	Name        string
	Window      Window
	Sections    []Section
	Objectives  []objective.Resolved
	CompareWith CompareWith
	Keep        int // number of reports of the name; 0: all

	Currency Currency // not part of requests: the server's
}

// MaxKeep is the maximum of Input.Keep.
const MaxKeep = 1000

// ParseRequest validates an input and sets its defaults; the default window is the last defaultHours hours. It widens
// the window to whole minutes. Its error is a FieldErrors with all faults.
func ParseRequest(in Input, defaultHours int64, now time.Time) (Request, error) {
	var faults FieldErrors
	f := fields{faults: &faults}
	r := Request{Name: in.Name, CompareWith: in.CompareWith}
	f.text("name", in.Name, 100)
	if r.Name == "" {
		r.Name = DefaultName
	}
	r.Window = in.window(f, defaultHours, now)
	r.Sections = in.sections(f)
	objectives := objective.Resolve(in.Objectives)
	r.Objectives = objectives.All
	faults.take(objectives.Faults)
	switch r.CompareWith {
	case "":
		r.CompareWith = ComparePrevious
	case ComparePrevious, CompareNone:
	default:
		f.fault("compare_with", "must be %s or %s, not %s", ComparePrevious, CompareNone, text.Quote(string(r.CompareWith), 40))
	}
	if in.Keep != nil {
		r.Keep = int(*in.Keep)
		if *in.Keep < 1 || *in.Keep > MaxKeep {
			f.fault("keep", "must be a whole number from 1 to %d, not %d", MaxKeep, *in.Keep)
		}
	}
	if err := faults.err(); err != nil {
		return Request{}, err
	}
	return r, nil
}

// Parts returns the more expensive facts that the report needs, of its window and of the previous one.
func (r Request) Parts() (current, previous Parts) {
	wanted := func(section Section) bool { return slices.Contains(r.Sections, section) }
	var judged Parts
	for _, o := range r.Objectives {
		judged.Queries = judged.Queries || o.Needs.Queries
		judged.Executions = judged.Executions || o.Needs.Executions
		judged.Days = judged.Days || o.Needs.Days
	}
	previous = judged
	previous.Executions = judged.Executions || wanted(SectionExecutions) || wanted(SectionCosts)
	previous.Users = wanted(SectionUsers)
	current = previous
	current.Queries = judged.Queries || wanted(SectionQueries)
	current.Indexes = wanted(SectionIndexes)
	current.Days = judged.Days || wanted(SectionCosts)
	current.Steps = wanted(SectionSummary) || wanted(SectionPendingDeployments)
	return current, previous
}

func (in Input) window(f fields, defaultHours int64, now time.Time) Window {
	var w Window
	var faults FieldErrors
	switch {
	case in.Hours != nil && in.From+in.To != "":
		f.fault("hours", "cannot be combined with from and to")
	case in.From != "" && in.To == "":
		f.fault("to", "is required with from")
	case in.From == "" && in.To != "":
		f.fault("from", "is required with to")
	case in.From != "":
		w, faults = between(in.From, in.To, now)
	case in.Hours != nil:
		w, faults = lastHours(*in.Hours, now)
	default:
		w, faults = lastHours(defaultHours, now)
	}
	*f.faults = append(*f.faults, faults...)
	return w
}

// ParseSections returns the sections of a request; nil means all. Its error is a FieldErrors about the field "sections".
func ParseSections(names []string) ([]Section, error) {
	var faults FieldErrors
	sections := Input{Sections: names}.sections(fields{faults: &faults})
	return sections, faults.err()
}

func (in Input) sections(f fields) []Section {
	known := AllSections()
	if in.Sections == nil {
		return known
	}
	if len(in.Sections) == 0 || len(in.Sections) > len(known) {
		f.fault("sections", "must be 1 to %d; leave it out for all", len(known))
		return nil
	}
	sections := make([]Section, 0, len(in.Sections))
	for i, name := range in.Sections {
		section := Section(name)
		path := f.in("sections").index(i)
		switch {
		case !slices.Contains(known, section):
			f.faults.add(path, "must be one of %s, not %s", joined(known), text.Quote(name, 40))
		case slices.Contains(sections, section):
			f.faults.add(path, "%s is duplicated", name)
		}
		sections = append(sections, section)
	}
	return sections
}

func joined[T ~string](names []T) string {
	s := make([]string, len(names))
	for i, name := range names {
		s[i] = string(name)
	}
	return strings.Join(s, ", ")
}
