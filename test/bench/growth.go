package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// pollGrowth floods servers of fleets of several sizes in turns, while all run. A poll should cost the same in each.
func pollGrowth(ctx context.Context, b *bench) (_ []figure, err error) {
	sizes := or(b, []int{1_000, 10_000, 100_000, 1_000_000}, []int{1_000, 20_000})
	const polling = 1_000 // agents that poll, spread over the fleet
	rates, p99s := make([][]float64, len(sizes)), make([][]float64, len(sizes))
	fleets := make([]*pollers, len(sizes))
	var figures []figure
	for n, size := range sizes {
		began := time.Now()
		var i *installation
		if i, err = b.install(ctx, fmt.Sprintf("growth-%d", size), size); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, i.close()) }()
		if fleets[n], err = dialSpread(ctx, i.server.Address, size, polling); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, fleets[n].close()) }()
		rss, err := i.server.RSS()
		if err != nil {
			return nil, err
		}
		b.logf("%d agents: enrolled and ready after %.1f s, the server's own start took %.2f s, %d MiB", size, time.Since(began).Seconds(),
			i.server.ReadyAfter.Seconds(), rss>>20)
	}
	for round := range or(b, 8, 4) {
		order := make([]int, len(sizes))
		for n := range order {
			order[n] = (n + round) % len(order)
		}
		for _, n := range order {
			result, err := fleets[n].flood(ctx, or(b, 2*time.Second, time.Second/2))
			if err != nil {
				return nil, err
			}
			if round > 0 {
				rates[n], p99s[n] = append(rates[n], result.PerSecond()), append(p99s[n], result.Quantile(0.99)*1e3)
			}
		}
	}
	medians := make([]float64, len(sizes))
	for n, size := range sizes {
		medians[n] = median(rates[n])
		b.logf("%d agents: %.0f polls a second, p99 %.2f ms", size, medians[n], median(p99s[n]))
		figures = append(figures, figure{fmt.Sprintf("poll_idle_per_s_%d", size), medians[n], "1/s", aim{}})
	}
	return append(figures, figure{"poll_growth", slices.Min(medians) / slices.Max(medians), "ratio", atLeast(0.8)}), nil
}

// dialSpread connects the given number of pollers for agents spread over a fleet.
func dialSpread(ctx context.Context, address string, size, polling int) (*pollers, error) {
	p, err := dialPollers(ctx, address, floodWorkers, 0, "")
	if err != nil {
		return nil, err
	}
	for n := range polling {
		p.requests = append(p.requests, pollRequest(address, n*(size/polling), nothingNew))
	}
	return p, nil
}

// millionAgents measures the memory of a server with a million agents that poll at the rate of its poll budget.
func millionAgents(ctx context.Context, b *bench) (_ []figure, err error) {
	agents := or(b, 1_000_000, 100_000)
	i, err := b.install(ctx, "million", agents)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	polling, err := dialPollers(ctx, i.server.Address, fleetConns, 0, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, polling.close()) }()
	load, cancel := context.WithTimeout(ctx, or(b, 60*time.Second, 5*time.Second))
	defer cancel()
	polls := rig.OpenLoop(load, or[float64](b, fleetRate, 2000), fleetConns, func(_ context.Context, worker int, n int64) error {
		_, err := polling.conns[worker].Do(pollRequest(i.server.Address, int(n*7919%int64(agents)), nothingNew))
		return err
	})
	if polls.First != nil {
		return nil, polls.First
	}
	rss, err := i.server.RSS()
	if err != nil {
		return nil, err
	}
	b.logf("%d agents: %.0f polls a second, p99 %.2f ms", agents, polls.PerSecond(), polls.Quantile(0.99)*1e3)
	return []figure{{"serve_rss_mib_1m", float64(rss) / (1 << 20), "MiB", atMost(320)}}, nil
}
