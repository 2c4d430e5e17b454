package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/pause"
)

var soak = experiment{
	name: "soak",
	what: "nothing but a mixed load, for a long time: memory, goroutines and connections stay as they are",
	where: func(*trial) setting {
		size := usual
		size.agents, size.createEach, size.lookEach = 60, 60*time.Millisecond, 250*time.Millisecond
		return setting{size: &size}
	},
	strike: func(ctx context.Context, t *trial) error {
		d := t.soakFor
		if t.quick {
			d = min(d, 30*time.Second)
		}
		began := time.Now()
		samples, err := t.sample(ctx, d)
		if err != nil {
			return err
		}
		grown := 0
		for _, s := range []struct {
			name, unit string
			forgiven   float64 // growth that is ignored
			of         func(sample) float64
		}{
			{"memory", "MiB", 8, func(s sample) float64 { return s.memory / (1 << 20) }},
			{"goroutines", "goroutines", 20, func(s sample) float64 { return s.goroutines }},
			{"connections", "connections", 4, func(s sample) float64 { return s.connections }},
		} {
			early, late := median(samples[len(samples)/4:len(samples)/2], s.of), median(samples[3*len(samples)/4:], s.of)
			t.logf("%s: %s %.1f in the second quarter, %.1f in the last", t.name, s.name, early, late)
			t.set(s.name, late, s.unit)
			if late > 1.1*early+s.forgiven {
				grown++
			}
		}
		t.must("figures_that_grew", grown, "figures")
		t.must("requests_failed", t.recorder.failures(began, time.Now(), append([]string{idlePoll}, workloadKinds...)...), "requests")
		t.showOutages(began, workloadKinds...)
		return nil
	},
}

// sample is the size of the service at a moment: both replicas together.
type sample struct{ memory, goroutines, connections float64 }

// sample takes a sample every second.
func (t *trial) sample(ctx context.Context, d time.Duration) (all []sample, err error) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		var s sample
		for i := range replicas {
			server := t.server(i)
			rss, err := server.RSS()
			if err != nil {
				return nil, err
			}
			n, err := server.Goroutines(ctx)
			if err != nil {
				return nil, err
			}
			s.memory += float64(rss)
			s.goroutines += float64(n)
		}
		err := t.ask(ctx, func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "SELECT count(*)::float8 FROM pg_stat_activity WHERE application_name = 'watchbill' AND datname = current_database()").Scan(&s.connections)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		if !pause.For(ctx, time.Second) {
			return nil, ctx.Err()
		}
	}
	if len(all) < 8 {
		return nil, fmt.Errorf("%d samples are too few to say anything", len(all))
	}
	return all, nil
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
