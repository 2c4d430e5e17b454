package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/pause"
)

// Hints notifies other replicas of changes and receives their notifications. A hint contains only its sender's name; a
// replica that receives one sweeps. Losing a hint costs latency, never a delivery.
type Hints struct {
	db      *DB
	url     string // of the listening connection; must not lead through a transaction pooler
	replica string
	log     *zap.Logger
	heard   func()
	send    chan struct{}

	// After quiet without a notification the listening connection is pinged, which must succeed within patience, since
	// a socket may stall without closing.
	quiet, patience time.Duration
}

const (
	hintChannel = "watchbill_changes"

	// gather is the delay before a notification, so that concurrent changes share it.
	gather = 2 * time.Millisecond
)

// NewHints returns a Hints. replica is this process's name; heard is called for each hint of another replica.
func NewHints(db *DB, directURL, replica string, log *zap.Logger, heard func()) *Hints {
	return &Hints{
		db: db, url: directURL, replica: replica, log: log, heard: heard, send: make(chan struct{}, 1),
		quiet: 3 * time.Second, patience: 2 * time.Second,
	}
}

// Send notifies other replicas that something was committed. It never blocks.
func (h *Hints) Send() {
	select {
	case h.send <- struct{}{}:
	default: // a pending hint covers this one
	}
}

// Run sends and receives hints until ctx is done.
func (h *Hints) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { h.sendAll(ctx); return nil })
	g.Go(func() error { h.listenAlways(ctx); return nil })
	return g.Wait()
}

func (h *Hints) sendAll(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.send:
		}
		if !pause.For(ctx, gather) {
			return
		}
		err := h.notify(ctx)
		if err != nil && !failing {
			h.log.Warn("cannot send hints; other replicas find changes by their sweeps", zap.Error(err))
		}
		failing = err != nil
	}
}

// notify sends a notification. It does not wait for the disk: losing one is harmless, and PostgreSQL holds a global
// lock while it commits one.
func (h *Hints) notify(ctx context.Context) error {
	const sql = `-- name: Hint :exec
WITH fast AS (SELECT set_config('synchronous_commit', 'off', true)) SELECT pg_notify($1, $2) FROM fast`
	ctx, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	_, err := h.db.pool.Exec(ctx, sql, hintChannel, h.replica)
	return wrap("send a hint", err)
}

func (h *Hints) listenAlways(ctx context.Context) {
	failures := 0
	for {
		err := h.listen(ctx, func() { failures = 0 })
		if ctx.Err() != nil {
			return
		}
		if failures++; failures == 1 {
			h.log.Warn("cannot listen for hints; sweeps find changes made on other replicas", zap.Error(err))
		}
		pause.For(ctx, min(time.Duration(failures)*100*time.Millisecond, 2*time.Second))
	}
}

// listen receives hints on one connection until it fails. It never returns nil.
func (h *Hints) listen(ctx context.Context, established func()) error {
	cc, err := connConfig(h.url)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return wrap("connect to listen", err)
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye) // the connection is abandoned either way
	}()
	if err := h.subscribe(ctx, conn); err != nil {
		return wrap("listen", err)
	}
	established()
	h.heard() // for hints sent before LISTEN
	for {
		if err := h.await(ctx, conn); err != nil {
			return err
		}
	}
}

func (h *Hints) subscribe(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	_, err := conn.Exec(ctx, "LISTEN "+hintChannel)
	return err
}

// await waits for one notification. After quiet without one, it checks the connection.
func (h *Hints) await(ctx context.Context, conn *pgx.Conn) error {
	wait, cancel := context.WithTimeout(ctx, h.quiet)
	defer cancel()
	n, err := conn.WaitForNotification(wait)
	switch {
	case err == nil:
		if n.Payload != h.replica {
			h.heard()
		}
		return nil
	case wait.Err() == nil || ctx.Err() != nil:
		return wrap("listen", err)
	}
	check, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	return wrap("check the listening connection", conn.Ping(check))
}
