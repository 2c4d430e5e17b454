package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

const (
	ingestClients = 32
	ingestBatch   = 100 // executions of one request
)

// ingesters are clients that log executions, each over a connection of its own.
type ingesters struct {
	address string
	conns   []*rig.Conn
	next    int64 // the number of the next execution
}

func dialIngesters(ctx context.Context, address string) (*ingesters, error) {
	g := &ingesters{address: address}
	for range ingestClients {
		conn, err := rig.Dial(ctx, address)
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		g.conns = append(g.conns, conn)
	}
	return g, nil
}

func (g *ingesters) close() error {
	var errs []error
	for _, conn := range g.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// prepare makes requests with new executions that begin about now.
func (g *ingesters) prepare(batches int) ([][]byte, error) {
	requests := make([][]byte, batches)
	began := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Duration(g.next) * time.Microsecond)
	for i := range requests {
		body, err := batchBody("live", g.next, ingestBatch, began)
		if err != nil {
			return nil, err
		}
		requests[i] = rig.Request("POST", "/api/executions", g.address, "Authorization: Bearer "+rig.IngestToken+"\r\n", body)
		g.next += ingestBatch
	}
	return requests, nil
}

// send sends one, and wants all of it stored.
func (g *ingesters) send(worker int, request []byte) error {
	response, err := g.conns[worker].Do(request)
	if err != nil {
		return err
	}
	var answer struct{ Accepted int }
	if response.Status != http.StatusCreated {
		return fmt.Errorf("a batch is answered %d %.300s", response.Status, response.Body)
	}
	if err := json.Unmarshal(response.Body, &answer); err != nil || answer.Accepted != ingestBatch {
		return fmt.Errorf("of a batch of %d is accepted: %.300s", ingestBatch, response.Body)
	}
	return nil
}

// flood sends all requests as fast as they are answered, and returns how long that took.
func (g *ingesters) flood(ctx context.Context, requests [][]byte) (time.Duration, error) {
	var next atomic.Int64
	errs := make([]error, len(g.conns))
	var busy sync.WaitGroup
	began := time.Now()
	for worker := range g.conns {
		busy.Go(func() {
			for errs[worker] == nil && ctx.Err() == nil {
				n := next.Add(1) - 1
				if n >= int64(len(requests)) {
					return
				}
				errs[worker] = g.send(worker, requests[n])
			}
		})
	}
	busy.Wait()
	return time.Since(began), errors.Join(append(errs, ctx.Err())...)
}
