package desired

import (
	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
)

// Objectives returns a report's objectives; nil if its spec has none, so that the defaults are defined only in
// internal/report.
func Objectives(mr *v1alpha1.MonitoringReport) []report.Objective {
	if mr.Spec.Objectives == nil {
		return nil
	}
	all := make([]report.Objective, len(mr.Spec.Objectives))
	for i, o := range mr.Spec.Objectives {
		all[i] = objective(o)
	}
	return all
}

// objective keeps every kind that is set, so that Check can report two of them.
func objective(o v1alpha1.Objective) report.Objective {
	made := report.Objective{Name: o.Name}
	if k := o.Latency; k != nil {
		made.Latency = &report.LatencyObjective{
			Route: string(k.Route), Method: string(k.Method), Quantile: string(k.Quantile), Threshold: string(k.Threshold),
		}
	}
	if k := o.ErrorRate; k != nil {
		made.ErrorRate = &report.ErrorRateObjective{Max: string(k.Max), Route: string(k.Route)}
	}
	if k := o.PoolUtilization; k != nil {
		made.PoolUtilization = &report.PoolObjective{Max: string(k.Max)}
	}
	if k := o.QueryTime; k != nil {
		made.QueryTime = &report.QueryTimeObjective{Quantile: string(k.Quantile), Threshold: string(k.Threshold)}
	}
	if k := o.PollRate; k != nil {
		made.PollRate = &report.PollRateObjective{PerAgent: k.PerAgent, Tolerance: string(k.Tolerance)}
	}
	if k := o.SuccessRate; k != nil {
		made.SuccessRate = &report.SuccessObjective{Min: string(k.Min), Agent: k.Agent}
	}
	if k := o.Cost; k != nil {
		made.Cost = &report.CostObjective{MaxUSD: k.MaxUSD, Period: report.Period(k.Period)}
	}
	return made
}
