package main

import (
	"context"
	"errors"
)

// startup measures the time until a server is ready with a running database, the current schema and an enrolled fleet.
func startup(ctx context.Context, b *bench) (_ []figure, err error) {
	i, err := b.install(ctx, "startup", or(b, enrolled, 10_000))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	var took []float64
	for range or(b, 7, 3) {
		if err := i.serve(ctx, b); err != nil {
			return nil, err
		}
		took = append(took, i.server.ReadyAfter.Seconds()*1e3)
	}
	return []figure{{"startup_ms", median(took), "ms", atMost(500)}}, nil
}
