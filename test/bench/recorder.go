package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// recorderOverhead compares the server with one that was built to count nothing, in turns.
func recorderOverhead(ctx context.Context, b *bench) (_ []figure, err error) {
	i, err := b.install(ctx, "recorder", 10_000)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	folder := filepath.Join(b.dir, "uncounted")
	program, err := rig.Build(ctx, folder, "./cmd/watchbill", "uncounted")
	if err != nil {
		return nil, err
	}
	uncounted, err := rig.Serve(ctx, rig.ServeOptions{Binary: program, DatabaseURL: i.url, Dir: i.dir, Name: "uncounted"})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, uncounted.Close()) }()
	sides := make([]*pollers, 2)
	for s, address := range []string{i.server.Address, uncounted.Address} {
		if sides[s], err = dialPollers(ctx, address, floodWorkers, 10_000, nothingNew); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, sides[s].close()) }()
	}
	var overhead []float64
	for round := range or(b, 16, 6) {
		var rates [2]float64
		order := []int{0, 1}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, side := range order {
			result, err := sides[side].flood(ctx, or(b, 2*time.Second, time.Second/2))
			if err != nil {
				return nil, err
			}
			rates[side] = result.PerSecond()
		}
		if round > 0 {
			overhead = append(overhead, (1-rates[0]/rates[1])*100)
		}
	}
	b.logf("overhead of each pair: %.1f", overhead)
	return []figure{{"recorder_overhead", median(overhead), "%", atMost(4)}}, nil
}
