package main

import (
	"context"
	"errors"
	"fmt"
)

// readsByLength compares reading metrics with histories that differ in length only: 24 hours with the shortest, 30 days
// with the middle one.
func (b *bench) readsByLength(ctx context.Context, short, middle, long *past) ([]figure, error) {
	if err := long.checkValues(ctx); err != nil {
		return nil, err
	}
	day, err := b.readsBeside("24h", oneDay, short, long)
	if err != nil {
		return nil, err
	}
	month, err := b.readsBeside("30d", thirtyDays, middle, long)
	return []figure{
		{"admin_metrics_growth_24h", day, "ratio", b.growthAim(atMost(1.2))},
		{"admin_metrics_growth_30d", month, "ratio", b.growthAim(atMost(1.2))},
	}, err
}

// readsByDensity compares reading metrics with the densest history and the sparsest one of the same length. The amount
// to read grows with density until all cells and bins exist.
func (b *bench) readsByDensity(all ...*past) ([]figure, error) {
	var figures []figure
	for _, window := range []struct {
		name  string
		hours int
	}{{"24h", oneDay}, {"30d", thirtyDays}} {
		ratio, err := b.readsBeside(window.name, window.hours, all...)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{"admin_metrics_density_" + window.name, ratio, "ratio", aim{}})
	}
	return figures, nil
}

// readsBeside reads metrics of several histories in turns. It returns the ratio of the last history's time to the
// first's.
func (b *bench) readsBeside(name string, hours int, all ...*past) (ratio float64, err error) {
	times := make([][]float64, len(all))
	for range or(b, 201, 61) {
		for i, p := range all {
			_, took, err := readMetrics(p.reader, p.server.Address, hours)
			if err != nil {
				return 0, err
			}
			times[i] = append(times[i], took.Seconds()*1e3)
		}
	}
	for i, p := range all {
		b.logf("%s over %d executions of %d days: %.2f ms", name, p.rows, p.days, median(times[i]))
	}
	return median(times[len(all)-1]) / median(times[0]), nil
}

// ingestByDensity compares storing executions with the densest history and with the sparsest one, in turns.
func (b *bench) ingestByDensity(ctx context.Context, all ...*past) ([]figure, error) {
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
			if round > 0 { // the first is a warm-up
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
	emptiest, fullest := median(rates[0]), median(rates[len(all)-1])
	return []figure{{"ingest_growth", fullest / emptiest, "ratio", b.growthAim(atLeast(0.8))}}, nil
}

// ingestRate stores the given number of batches and returns the executions per second.
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

// growthAim returns the target in a whole run. Measurements of a quick run are too short for one.
func (b *bench) growthAim(whole aim) aim { return or(b, whole, aim{}) }

// checkValues compares the metrics of the last day with the rows.
func (p *past) checkValues(ctx context.Context) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	response, _, err := readMetrics(p.reader, p.server.Address, oneDay)
	if err != nil {
		return err
	}
	naive, _, err := naiveMetrics(ctx, p.db, response.Metrics.Window)
	if err != nil {
		return err
	}
	return naive.compare(response.Metrics)
}
