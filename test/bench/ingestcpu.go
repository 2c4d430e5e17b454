package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/test/rig"
)

const (
	cpuClients = 8
	cpuBatch   = 100 // spans or executions per request
)

// ingestCPU compares the CPU time of the server and PostgreSQL to store a span and an execution with that of
// rig.BaselineCommit, in turns. A quick run does not build that, and only checks that everything is stored.
func ingestCPU(ctx context.Context, b *bench) (_ []figure, err error) {
	versions := []*bench{b}
	if !b.quick {
		before, err := b.baseline(ctx)
		if err != nil {
			return nil, err
		}
		versions = append(versions, before)
	}
	var sides []*storing
	for n, version := range versions {
		s, err := storeWith(ctx, version, []string{"now", "before"}[n])
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close(ctx)) }()
		sides = append(sides, s)
	}
	loads := []struct {
		name    string
		request func(s *storing) ([]byte, error)
		costs   [2][]float64 // µs, by version
		ratios  []float64
	}{
		{name: "otlp", request: (*storing).export},
		{name: "ingest", request: (*storing).executions},
	}
	for round := range or(b, 5, 1) {
		for n := range loads {
			l := &loads[n]
			var costs [2]float64
			for side, s := range sides {
				if costs[side], err = s.flood(ctx, or(b, 400, 20), l.request); err != nil {
					return nil, fmt.Errorf("%s: %w", l.name, err)
				}
			}
			b.logf("round %d: %s: µs of CPU each: now %.1f, before %.1f", round, l.name, costs[0], costs[1])
			if round == 0 && !b.quick {
				continue // a warm-up
			}
			for side := range sides {
				l.costs[side] = append(l.costs[side], costs[side])
			}
			l.ratios = append(l.ratios, costs[0]/costs[1])
		}
	}
	var figures []figure
	for n, limit := range []float64{0.5, 0.6} {
		l := loads[n]
		figures = append(figures, figure{l.name + "_cpu_us", median(l.costs[0]), "µs", aim{}})
		if !b.quick {
			figures = append(figures, figure{l.name + "_cpu_us_before", median(l.costs[1]), "µs", aim{}},
				figure{l.name + "_cpu_ratio", median(l.ratios), "ratio", atMost(limit)})
		}
	}
	return figures, nil
}

// storing is an installation that receives spans and executions.
type storing struct {
	*installation
	db           *pgx.Conn
	traces, rows int64 // generated so far
}

func storeWith(ctx context.Context, b *bench, name string) (_ *storing, err error) {
	s := &storing{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	if s.installation, err = b.install(ctx, name, 0); err != nil {
		return nil, err
	}
	if s.db, err = pgx.Connect(ctx, s.url); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *storing) close(ctx context.Context) error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close(context.WithoutCancel(ctx)))
	}
	if s.installation != nil {
		errs = append(errs, s.installation.close())
	}
	return errors.Join(errs...)
}

// export returns a request with cpuBatch new spans.
func (s *storing) export() ([]byte, error) {
	const traces = cpuBatch / spansOfTrace
	body, err := exportBody(s.traces, traces, time.Now().UTC().Add(-time.Hour))
	s.traces += traces
	s.rows += cpuBatch
	return rig.RequestOf("POST", "/v1/traces", s.server.Address, ingestHeader, "application/x-protobuf", body), err
}

// executions returns a request with cpuBatch new executions.
func (s *storing) executions() ([]byte, error) {
	body, err := batchBody("live", s.rows, cpuBatch, time.Now().UTC().Add(-time.Hour))
	s.rows += cpuBatch
	return rig.Request("POST", "/api/executions", s.server.Address, ingestHeader, body), err
}

// flood sends the given number of requests and returns the CPU time of the server and PostgreSQL in microseconds for
// each stored row, including the work afterwards.
func (s *storing) flood(ctx context.Context, requests int, prepare func(*storing) ([]byte, error)) (float64, error) {
	var all [][]byte
	for range requests {
		request, err := prepare(s)
		if err != nil {
			return 0, err
		}
		all = append(all, request)
	}
	if err := checkpoint(ctx, s.db); err != nil {
		return 0, err
	}
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	if err := s.send(ctx, all); err != nil {
		return 0, err
	}
	if err := awaitFolded(ctx, s.db); err != nil {
		return 0, err
	}
	after, err := s.cpu()
	if err != nil {
		return 0, err
	}
	var stored int64
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM agent_executions`).Scan(&stored); err != nil {
		return 0, err
	}
	if stored != s.rows {
		return 0, fmt.Errorf("%d were sent, %d are stored", s.rows, stored)
	}
	spent := after.server - before.server + after.postgres - before.postgres
	return float64(spent.Microseconds()) / float64(requests*cpuBatch), nil
}

// send sends all requests without pauses over new connections, since the server closes connections that are idle during
// the other version's turn.
func (s *storing) send(ctx context.Context, requests [][]byte) (err error) {
	conns, err := dialAll(ctx, s.server.Address, cpuClients)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(conns)) }()
	return sendAll(ctx, cpuClients, requests, func(worker int, request []byte) error {
		response, err := conns[worker].Do(request)
		if err != nil {
			return err
		}
		if response.Status != http.StatusOK && response.Status != http.StatusCreated {
			return fmt.Errorf("a batch returned %d %.300s", response.Status, response.Body)
		}
		return nil
	})
}
