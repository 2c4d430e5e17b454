package desired

import (
	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/objective"
)

// Objectives returns a report's objectives; nil if its spec has none, so that the defaults are defined only in
// internal/objective.
func Objectives(mr *v1alpha1.MonitoringReport) []objective.Objective {
	if mr.Spec.Objectives == nil {
		return nil
	}
	all := make([]objective.Objective, len(mr.Spec.Objectives))
	for i, o := range mr.Spec.Objectives {
		all[i] = written(o)
	}
	return all
}

// written keeps every kind that is set, so that Check can report two of them.
func written(o v1alpha1.Objective) objective.Objective {
	made := objective.Objective{Name: o.Name}
	if k := o.Latency; k != nil {
		made.Latency = &objective.Latency{
			Route: string(k.Route), Method: string(k.Method), Quantile: string(k.Quantile), Threshold: string(k.Threshold),
		}
	}
	if k := o.ErrorRate; k != nil {
		made.ErrorRate = &objective.ErrorRate{Max: string(k.Max), Route: string(k.Route)}
	}
	if k := o.PoolUtilization; k != nil {
		made.PoolUtilization = &objective.PoolUtilization{Max: string(k.Max)}
	}
	if k := o.QueryTime; k != nil {
		made.QueryTime = &objective.QueryTime{Quantile: string(k.Quantile), Threshold: string(k.Threshold)}
	}
	if k := o.PollRate; k != nil {
		made.PollRate = &objective.PollRate{PerAgent: k.PerAgent, Tolerance: string(k.Tolerance)}
	}
	if k := o.SuccessRate; k != nil {
		made.SuccessRate = &objective.SuccessRate{Min: string(k.Min), Agent: k.Agent}
	}
	if k := o.Cost; k != nil {
		made.Cost = &objective.Cost{MaxUSD: k.MaxUSD, Period: objective.Period(k.Period)}
	}
	return made
}
