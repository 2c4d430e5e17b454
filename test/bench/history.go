package main

import (
	"context"
	"errors"
	"fmt"
)

// readsByLength compares reading figures over the longest history with reading them over the shortest, in turns.
func (b *bench) readsByLength(all []*past) ([]figure, error) {
	var figures []figure
	for _, window := range []struct {
		name  string
		hours int
	}{{"24h", oneDay}, {"30d", thirtyDays}} {
		times := make([][]float64, len(all))
		for range or(b, 201, 61) {
			for i, p := range all {
				_, took, err := readMetrics(p.reader, p.server.Address, window.hours)
				if err != nil {
					return nil, err
				}
				times[i] = append(times[i], took.Seconds()*1e3)
			}
		}
		for i, p := range all {
			b.logf("%s over %d executions: %.2f ms", window.name, p.rows, median(times[i]))
		}
		shortest, longest := median(times[0]), median(times[len(all)-1])
		figures = append(figures, figure{"admin_metrics_growth_" + window.name, longest / shortest, "ratio", b.growthAim(atMost(1.2))})
	}
	return figures, nil
}

// ingestByLength compares storing executions beside the longest history with storing them beside the shortest, in turns.
func (b *bench) ingestByLength(ctx context.Context, all []*past) ([]figure, error) {
	rates := make([][]float64, len(all))
	for round := range or(b, 8, 3) {
		for i, p := range all {
			if err := checkpoint(ctx, p.db); err != nil {
				return nil, err
			}
			rate, err := p.ingestRate(ctx, or(b, 400, 60))
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				rates[i] = append(rates[i], rate)
			}
		}
	}
	for i, p := range all {
		b.logf("ingest beside %d executions: %.0f/s", p.rows, median(rates[i]))
		if err := p.checkValues(ctx); err != nil {
			return nil, fmt.Errorf("%d executions, and some more: %w", p.rows, err)
		}
	}
	shortest, longest := median(rates[0]), median(rates[len(all)-1])
	return []figure{{"ingest_growth", longest / shortest, "ratio", b.growthAim(atLeast(0.8))}}, nil
}

// ingestRate stores so many batches and returns how many executions a second that were.
func (p *past) ingestRate(ctx context.Context, batches int) (rate float64, err error) {
	g, err := dialIngesters(ctx, p.server.Address)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	g.next = p.ingested
	requests, err := g.prepare(batches)
	if err != nil {
		return 0, err
	}
	p.ingested = g.next
	took, err := g.flood(ctx, requests)
	return float64(batches*ingestBatch) / took.Seconds(), err
}

// growthAim is for whole runs: what a quick one measures is too short to be held against it.
func (b *bench) growthAim(whole aim) aim { return or(b, whole, aim{}) }

// checkValues compares what is told of the last day with the rows.
func (p *past) checkValues(ctx context.Context) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	answer, _, err := readMetrics(p.reader, p.server.Address, oneDay)
	if err != nil {
		return err
	}
	naive, _, err := naiveMetrics(ctx, p.db, answer.Metrics.Window)
	if err != nil {
		return err
	}
	return naive.compare(answer.Metrics)
}
