package main

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// besideBaseline compares idle polls and memory with those of rig.BaselineCommit, in turns. Each version has its own
// PostgreSQL and schema. A shallow clone lacks the baseline, so a quick run omits this.
func besideBaseline(ctx context.Context, b *bench) (_ []figure, err error) {
	if b.quick {
		b.logf("a quick run does not build %s", rig.BaselineCommit)
		return nil, nil
	}
	before, err := b.baseline(ctx)
	if err != nil {
		return nil, err
	}
	var sides [2]*contender
	for n, version := range []*bench{b, before} {
		i, err := version.install(ctx, []string{"now", "before"}[n], enrolled)
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

// baseline returns the benchmark with the program of rig.BaselineCommit.
func (b *bench) baseline(ctx context.Context) (*bench, error) {
	path, err := rig.BuildBaseline(ctx, b.dir)
	return &bench{quick: b.quick, dir: b.dir, binary: path}, err
}

// comparison holds the results of rounds of two versions, and the ratios of the first to the second.
type comparison struct {
	rates, memory         [2][]float64
	rateRatios, cpuRatios []float64
}

// turn is longer than nine tenths of an agent's interval: an agent that polls after the other version's turn is written
// as seen immediately. So every turn writes the same amount at the same moments.
const turn = 10 * time.Second

// besideEachOther floods two versions in turns, after a warm-up round.
func (b *bench) besideEachOther(ctx context.Context, sides [2]*contender) (found comparison, err error) {
	for round := range 7 {
		rates, costs, memory, err := takeTurns(ctx, sides)
		if err != nil {
			return found, err
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

// takeTurns floods each of two versions once and returns their polls per second, the CPU seconds per poll, and their
// memory in bytes. The CPU time of a version is that of the whole round, since some work of its polls is done after its
// turn.
func takeTurns(ctx context.Context, sides [2]*contender) (rates, costs, memory [2]float64, err error) {
	var began [2]time.Duration
	for side, c := range sides {
		if began[side], err = c.process.CPU(); err != nil {
			return rates, costs, memory, err
		}
	}
	var polls [2]int64
	for side, c := range sides {
		result, err := c.flood(ctx, turn)
		if err != nil {
			return rates, costs, memory, err
		}
		rss, err := c.process.RSS()
		if err != nil {
			return rates, costs, memory, err
		}
		rates[side], memory[side], polls[side] = result.PerSecond(), float64(rss), result.Count
	}
	for side, c := range sides {
		ended, err := c.process.CPU()
		if err != nil {
			return rates, costs, memory, err
		}
		costs[side] = (ended - began[side]).Seconds() / float64(polls[side])
	}
	return rates, costs, memory, nil
}
