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
	ingestBatch   = 100 // executions per request

	ingestHeader = "Authorization: Bearer " + rig.IngestToken + "\r\n"
)

// ingesters are clients that send executions, each over its own connection.
type ingesters struct {
	address string
	conns   []*rig.Conn
	next    int64 // the number of the next execution
}

func dialIngesters(ctx context.Context, address string) (*ingesters, error) {
	conns, err := dialAll(ctx, address, ingestClients)
	return &ingesters{address: address, conns: conns}, err
}

func (g *ingesters) close() error { return closeAll(g.conns) }

// prepare returns requests with new executions that begin about now.
func (g *ingesters) prepare(batches int) ([][]byte, error) {
	requests := make([][]byte, batches)
	began := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Duration(g.next) * time.Microsecond)
	for i := range requests {
		body, err := batchBody("live", g.next, ingestBatch, began)
		if err != nil {
			return nil, err
		}
		requests[i] = rig.Request("POST", "/api/executions", g.address, ingestHeader, body)
		g.next += ingestBatch
	}
	return requests, nil
}

// send sends a request and returns an error unless all of it was stored.
func (g *ingesters) send(worker int, request []byte) error {
	response, err := g.conns[worker].Do(request)
	if err != nil {
		return err
	}
	var answer struct{ Accepted int }
	if response.Status != http.StatusCreated {
		return fmt.Errorf("a batch returned %d %.300s", response.Status, response.Body)
	}
	if err := json.Unmarshal(response.Body, &answer); err != nil || answer.Accepted != ingestBatch {
		return fmt.Errorf("of a batch of %d is accepted: %.300s", ingestBatch, response.Body)
	}
	return nil
}

// flood sends all requests without pauses and returns how long that took.
func (g *ingesters) flood(ctx context.Context, requests [][]byte) (time.Duration, error) {
	began := time.Now()
	err := sendAll(ctx, len(g.conns), requests, g.send)
	return time.Since(began), err
}

// sendAll has workers send all requests, each without pauses. A worker stops at its first error.
func sendAll(ctx context.Context, workers int, requests [][]byte, send func(worker int, request []byte) error) error {
	var next atomic.Int64
	errs := make([]error, workers)
	var busy sync.WaitGroup
	for worker := range workers {
		busy.Go(func() {
			for errs[worker] == nil && ctx.Err() == nil {
				n := next.Add(1) - 1
				if n >= int64(len(requests)) {
					return
				}
				errs[worker] = send(worker, requests[n])
			}
		})
	}
	busy.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// dialAll opens n connections, or none.
func dialAll(ctx context.Context, address string, n int) ([]*rig.Conn, error) {
	var conns []*rig.Conn
	for range n {
		conn, err := rig.Dial(ctx, address)
		if err != nil {
			return nil, errors.Join(err, closeAll(conns))
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func closeAll(conns []*rig.Conn) error {
	var errs []error
	for _, conn := range conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}
