package objective

import "fmt"

// PoolUtilization requires the share of its database connections that the busiest replica had in use, as the mean over
// the window, below a limit.
type PoolUtilization struct {
	Max string `json:"max"` // above 0, at most 1
}

func (o *PoolUtilization) resolve(f fields) Resolved {
	return Resolved{
		Description: "database connections in use, worst replica's mean",
		Unit:        UnitRatio,
		Comparison:  Below,
		Target:      f.decimal("max", o.Max, 1),
		measure: func(d Data) reading {
			pool, ok := d.Pool()
			if !ok {
				return reading{}
			}
			return reading{
				actual: computed(pool.Utilization),
				detail: fmt.Sprintf("%s, its peak %s", pool.Replica, UnitRatio.Format(pool.PeakUtilization)),
			}
		},
	}
}
