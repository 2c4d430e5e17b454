package objective

import (
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/number"
)

// SuccessRate requires the share of AI agents' requests that succeeded above a limit. Timeouts are failures.
type SuccessRate struct {
	Min   string `json:"min"`             // between 0 and 1
	Agent string `json:"agent,omitempty"` // as in the executions section; empty: all agents
}

func (o *SuccessRate) resolve(f fields) Resolved {
	r := Resolved{
		Description: "AI agents' requests that succeeded", Unit: UnitRatio, Comparison: Above, Needs: Needs{Executions: true},
	}
	if o.Agent != "" {
		f.text("agent", o.Agent, execution.MaxName)
		r.Description = "requests to " + o.Agent + " that succeeded"
	}
	r.Target = f.inside("min", o.Min)
	r.Budget = complement(r.Target)
	r.measure = func(d Data) reading {
		var all, successful int64
		for _, cell := range d.Executions() {
			if !cell.Request || o.Agent != "" && cell.Agent != o.Agent {
				continue
			}
			all += cell.Count
			if cell.Status == execution.Success {
				successful += cell.Count
			}
		}
		return reading{
			actual: share(successful, all),
			bad:    share(all-successful, all),
			detail: number.Grouped(all-successful) + " failed of " + number.Counted(all, "request"),
		}
	}
	return r
}
