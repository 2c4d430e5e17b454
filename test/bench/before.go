package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// besideBaseline compares idle polls and memory with those of rig.BaselineCommit, in turns. Each version has a PostgreSQL of
// its own, with its own schema. A shallow clone does not have the baseline, so a quick run leaves this out.
func besideBaseline(ctx context.Context, b *bench) (_ []figure, err error) {
	if b.quick {
		b.logf("a quick run does not build %s", rig.BaselineCommit)
		return nil, nil
	}
	path, err := rig.BuildBaseline(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	versions := []struct {
		name, binary string
	}{{"now", b.binary}, {"before", path}}
	var sides [2]*contender
	for n, v := range versions {
		i, err := (&bench{dir: b.dir, binary: v.binary}).install(ctx, v.name, enrolled)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, i.close()) }()
		sides[n] = &contender{process: i.server.Process}
		if sides[n].pollers, err = dialPollers(ctx, i.server.Address, floodWorkers, enrolled, nothingNew); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, sides[n].pollers.close()) }()
	}
	seen, err := b.besideEachOther(ctx, sides)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"poll_idle_per_s_100k", median(seen.rates[0]), "1/s", aim{}},
		{"poll_idle_per_s_100k_before", median(seen.rates[1]), "1/s", aim{}},
		{"poll_idle_before_ratio", median(seen.rateRatios), "ratio", atLeast(0.97)},
		{"poll_idle_cpu_before_ratio", median(seen.cpuRatios), "ratio", atMost(1.03)},
		{"serve_rss_mib_100k", median(seen.memory[0]) / (1 << 20), "MiB", aim{}},
		{"serve_rss_mib_100k_before", median(seen.memory[1]) / (1 << 20), "MiB", aim{}},
		{"serve_rss_before_ratio", median(seen.memory[0]) / median(seen.memory[1]), "ratio", atMost(1.03)},
	}, nil
}

// comparison is what rounds of two versions found, by version, and the first by the second.
type comparison struct {
	rates, memory         [2][]float64
	rateRatios, cpuRatios []float64
}

// besideEachOther floods two versions in turns, after a round to warm up. A round's ratios are of halves that follow each
// other, so that what slows the machine down for longer counts on both sides.
func (b *bench) besideEachOther(ctx context.Context, sides [2]*contender) (found comparison, err error) {
	for round := range 13 {
		var rates, costs, memory [2]float64
		order := []int{0, 1}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, side := range order {
			if rates[side], costs[side], err = sides[side].measure(ctx, 4*time.Second); err != nil {
				return found, err
			}
			rss, err := sides[side].process.RSS()
			if err != nil {
				return found, err
			}
			memory[side] = float64(rss)
		}
		b.logf("round %d: now %.0f polls a second, before %.0f; server CPU a poll %.2f µs, before %.2f µs; %.0f MiB, before %.0f MiB", round,
			rates[0], rates[1], costs[0]*1e6, costs[1]*1e6, memory[0]/(1<<20), memory[1]/(1<<20))
		if round == 0 {
			continue
		}
		for side := range sides {
			found.rates[side] = append(found.rates[side], rates[side])
			found.memory[side] = append(found.memory[side], memory[side])
		}
		found.rateRatios = append(found.rateRatios, rates[0]/rates[1])
		found.cpuRatios = append(found.cpuRatios, costs[0]/costs[1])
	}
	return found, nil
}
