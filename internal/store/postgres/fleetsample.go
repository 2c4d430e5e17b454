package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// FleetSample is a count of the whole fleet at one moment.
type FleetSample struct {
	Agents      map[fleet.State]int64
	Deployments map[fleet.Status]int64
	// WantedPolls and ExpectedPolls are the polls per second of the agents that are online or late: at the intervals
	// that they requested, and at the poll interval hints that they received last.
	WantedPolls, ExpectedPolls float64
	Age                        time.Duration
}

// SampleFleet returns the count of any replica that is younger than maxAge, or counts the fleet and stores the count as
// this minute's rollup.
func (s *Rollups) SampleFleet(ctx context.Context, now time.Time, maxAge time.Duration) (FleetSample, error) {
	const doing = "sample the fleet"
	// Rollups and their age are by the database's clock, which may differ from this process's.
	ever := dbgen.LatestFleetRollupParams{WindowTo: now.AddDate(100, 0, 0)}
	latest, err := s.db.queries.LatestFleetRollup(ctx, ever)
	switch {
	case err == nil && latest.AgeSeconds >= 0 && seconds(latest.AgeSeconds) < maxAge: // a clock may have been set back
		return fleetSample(latest)
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return FleetSample{}, wrap(doing, err)
	}
	if err := s.countFleet(ctx); err != nil {
		return FleetSample{}, wrap(doing, err)
	}
	latest, err = s.db.queries.LatestFleetRollup(ctx, ever)
	if err != nil {
		return FleetSample{}, wrap(doing, err)
	}
	return fleetSample(latest)
}

// Demand returns the number of agents that are online or late, by enrollment token and requested poll interval.
func (s *Rollups) Demand(ctx context.Context) ([]fleet.Demand, error) {
	rows, err := s.db.queries.FleetDemand(ctx, dbgen.FleetDemandParams{LagSeconds: fleet.PresenceLag.Seconds(), OfflineAfter: fleet.OfflineAfter})
	if err != nil {
		return nil, wrap("read the fleet's demand", err)
	}
	demand := make([]fleet.Demand, len(rows))
	for i, row := range rows {
		demand[i] = fleet.Demand{Group: row.EnrolledBy, Interval: time.Duration(row.PollIntervalSeconds) * time.Second, Agents: row.Agents}
	}
	return demand, nil
}

func (s *Rollups) countFleet(ctx context.Context) error {
	agents, err := s.db.queries.SampleFleet(ctx, dbgen.SampleFleetParams{
		LagSeconds: fleet.PresenceLag.Seconds(), LateAfter: fleet.LateAfter, OfflineAfter: fleet.OfflineAfter,
	})
	if err != nil {
		return err
	}
	rows, err := s.db.queries.CountDeployments(ctx)
	if err != nil {
		return err
	}
	counts := map[fleet.Status]int64{}
	for _, status := range fleet.Statuses {
		counts[status] = 0
	}
	for _, row := range rows {
		counts[fleet.Status(row.Status)] = row.Count
	}
	deployments, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	return s.db.queries.SaveFleetRollup(ctx, dbgen.SaveFleetRollupParams{
		Online: agents.Online, Late: agents.Late, Offline: agents.Offline, Polling: float64(agents.Online + agents.Late),
		Wanted: agents.Wanted, Expected: agents.Expected, Deployments: deployments,
	})
}

func fleetSample(row dbgen.LatestFleetRollupRow) (FleetSample, error) {
	sample := FleetSample{
		Agents: map[fleet.State]int64{
			fleet.Online: row.AgentsOnline, fleet.Late: row.AgentsLate, fleet.Offline: row.AgentsOffline,
		},
		WantedPolls: row.WantedPollsPerSecond, ExpectedPolls: row.ExpectedPollsPerSecond, Age: seconds(row.AgeSeconds),
	}
	if err := json.Unmarshal(row.Deployments, &sample.Deployments); err != nil {
		return sample, fmt.Errorf("read the fleet's rollup: %w", err)
	}
	return sample, nil
}
