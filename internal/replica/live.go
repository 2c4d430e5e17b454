package replica

import (
	"context"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/live"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// observedDeployments are deployments whose status reports are published to viewers. What agents may claim is published
// as the mailbox is notified of it.
type observedDeployments struct {
	*postgres.Deployments
	feed *live.Feed
}

// Report applies an agent's status report.
func (d observedDeployments) Report(ctx context.Context, agentID string, id uuid.UUID, r fleet.Report) (fleet.Deployment, error) {
	next, err := d.Deployments.Report(ctx, agentID, id, r)
	if err == nil {
		d.feed.DeploymentsChanged(agentID)
	}
	return next, err
}

// newFeed returns what viewers are shown. faults returns why the replica is degraded, without asking the database.
func (r *Replica) newFeed(faults func() []string) *live.Feed {
	return live.NewFeed(r.live, live.Sources{
		Fleet: func() (live.Fleet, bool) {
			sample, known := r.gauges.Last()
			return live.Fleet{Agents: sample.Agents, Deployments: sample.Deployments}, known
		},
		Spend: func() (live.Spend, bool) {
			cost, known := r.executions.dayCost.Last()
			return live.Spend{DayUSD: cost.USD}, known
		},
		Stored: func() uint64 { return r.executions.observer.stored.Load() },
		Faults: faults,
	}, r.log.Named("live"))
}
