package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/objective"
)

// Document is a report. Its JSON is stored and returned by the API; the renderers show nothing else.
type Document struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Window      Coverage           `json:"window"`
	GeneratedAt time.Time          `json:"generated_at"`
	Verdict     Verdict            `json:"verdict"`
	Objectives  []objective.Result `json:"objectives"`
	Sections    Sections           `json:"sections"`
	Previous    *Previous          `json:"previous,omitempty"`
	// Course is the traffic over the window, in steps; nil in reports of earlier releases.
	Course []CoursePoint `json:"course,omitempty"`
}

// Previous is the previous window, with the same objectives.
type Previous struct {
	Window     Coverage           `json:"window"`
	Verdict    Verdict            `json:"verdict"`
	Objectives []objective.Result `json:"objectives"`
	Summary    Summary            `json:"summary"`
	// The totals of the sections with these names, if requested.
	Executions  *ExecutionFigures `json:"executions,omitempty"`
	Costs       *Spend            `json:"costs,omitempty"`
	ActiveUsers *int64            `json:"active_users,omitempty"`
}

// Sections are the requested parts of a report; the others are nil and not in the JSON.
type Sections struct {
	Summary            *Summary      `json:"summary,omitempty"`
	Endpoints          []Endpoint    `json:"endpoints,omitzero"`
	PendingDeployments *Pending      `json:"pendingDeployments,omitempty"`
	DatabasePool       *DatabasePool `json:"databasePool,omitempty"`
	Queries            *Queries      `json:"queries,omitempty"`
	Indexes            []Index       `json:"indexes,omitzero"`
	Errors             *Errors       `json:"errors,omitempty"`
	Executions         *Executions   `json:"executions,omitempty"`
	Costs              *Costs        `json:"costs,omitempty"`
	Users              *Users        `json:"users,omitempty"`
	// Logs is the result of an Analyser. It cannot be requested: a caller that has the files adds it.
	Logs *Logs `json:"logs,omitempty"`
}

// Compute returns the requested report. previous holds the facts of the previous window, or is nil if there is nothing
// to compare with. It returns an error if the facts are of other windows, or if the request is invalid because it does
// not come from ParseRequest.
func Compute(req Request, current Facts, previous *Facts, now time.Time, id string) (Document, error) {
	for _, o := range req.Objectives {
		if !o.Measurable() {
			return Document{}, fmt.Errorf("computing a report: objective %q was not resolved", o.Name)
		}
	}
	if !current.Window.equal(req.Window) {
		return Document{}, fmt.Errorf("computing a report of %v: the facts are of %v", req.Window, current.Window)
	}
	results := resultsOf(req.Objectives, current)
	doc := Document{
		ID:          id,
		Name:        req.Name,
		Window:      current.Coverage(),
		GeneratedAt: now.UTC(),
		Verdict:     verdict(results),
		Objectives:  results,
		Sections:    sectionsOf(req.Sections, current),
		Course:      courseOf(current.Steps),
	}
	if req.CompareWith == CompareNone || previous == nil {
		req.Currency.convert(&doc)
		return doc, nil
	}
	if !previous.Window.equal(req.Window.Previous()) {
		return Document{}, fmt.Errorf("computing a report of %v: the previous facts are of %v", req.Window, previous.Window)
	}
	doc.Previous = previousOf(req.Sections, resultsOf(req.Objectives, *previous), *previous)
	req.Currency.convert(&doc)
	return doc, nil
}

func previousOf(names []Section, results []objective.Result, f Facts) *Previous {
	p := &Previous{Window: f.Coverage(), Verdict: verdict(results), Objectives: results, Summary: Summarize(f)}
	if slices.Contains(names, SectionExecutions) {
		p.Executions = new(executionTotals(f))
	}
	if slices.Contains(names, SectionCosts) {
		p.Costs = new(spendOf(totalSpend(f)))
	}
	if slices.Contains(names, SectionUsers) {
		p.ActiveUsers = new(f.Users.Active)
	}
	return p
}

func resultsOf(objectives []objective.Resolved, f Facts) []objective.Result {
	results := make([]objective.Result, len(objectives))
	for i, o := range objectives {
		results[i] = o.Result(measurements{f})
	}
	return results
}

func sectionsOf(names []Section, f Facts) Sections {
	var s Sections
	wanted := func(section Section) bool { return slices.Contains(names, section) }
	if wanted(SectionSummary) {
		s.Summary = new(Summarize(f))
	}
	if wanted(SectionEndpoints) {
		s.Endpoints = Endpoints(f)
	}
	if wanted(SectionPendingDeployments) {
		s.PendingDeployments = new(PendingDeployments(f))
	}
	if wanted(SectionDatabasePool) {
		s.DatabasePool = new(Pool(f))
	}
	if wanted(SectionQueries) {
		s.Queries = new(SlowQueries(f))
	}
	if wanted(SectionIndexes) {
		s.Indexes = indexes(f)
	}
	if wanted(SectionErrors) {
		s.Errors = new(errorCounts(f))
	}
	if wanted(SectionExecutions) {
		s.Executions = new(executionsOf(f))
	}
	if wanted(SectionCosts) {
		s.Costs = new(costsOf(f))
	}
	if wanted(SectionUsers) {
		s.Users = new(usersOf(f))
	}
	return s
}
