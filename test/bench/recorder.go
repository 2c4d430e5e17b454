package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// recorderOverhead compares the server with one built without metrics, in turns. Throughput on a shared machine varies
// by more than the overhead, so the servers' CPU time is compared as well.
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
	sides := make([]*contender, 2)
	for s, server := range []*rig.Server{i.server, uncounted} {
		sides[s] = &contender{process: server.Process}
		if sides[s].pollers, err = dialPollers(ctx, server.Address, floodWorkers, 10_000, nothingNew); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, sides[s].pollers.close()) }()
	}
	var overhead, cpu []float64
	for round := range or(b, 31, 6) {
		var rates, costs [2]float64
		order := []int{0, 1}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, side := range order {
			if rates[side], costs[side], err = sides[side].measure(ctx, or(b, time.Second, time.Second/2)); err != nil {
				return nil, err
			}
		}
		if round > 0 {
			overhead = append(overhead, (1-rates[0]/rates[1])*100)
			cpu = append(cpu, (costs[0]/costs[1]-1)*100)
		}
	}
	if err := countedAlone(ctx, i.server, uncounted); err != nil {
		return nil, err
	}
	b.logf("overhead of each pair: %.1f; in CPU time: %.1f", overhead, cpu)
	return []figure{
		{"recorder_overhead", median(overhead), "%", atMost(4)},
		{"recorder_cpu_overhead", median(cpu), "%", aim{}},
	}, nil
}

// countedAlone returns an error unless exactly one server has counted its polls. Otherwise both are the same program.
func countedAlone(ctx context.Context, counted, uncounted *rig.Server) error {
	var polls [2]float64
	for n, s := range []*rig.Server{counted, uncounted} {
		figures, err := s.Metrics(ctx)
		if err != nil {
			return err
		}
		for series, value := range figures {
			if strings.HasPrefix(series, "watchbill_polls_total{") {
				polls[n] += value
			}
		}
	}
	if polls[0] == 0 || polls[1] != 0 {
		return fmt.Errorf("the servers have counted %.0f and %.0f polls: one must count and the other not", polls[0], polls[1])
	}
	return nil
}
