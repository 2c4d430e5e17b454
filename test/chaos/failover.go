package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// pair is a primary PostgreSQL and its standby.
type pair struct{ primary, standby *rig.Postgres }

var failedOver = newFailover("failover", "kill -9 of the PostgreSQL that takes writes, and promotion of the one that follows it, which every commit waits for", true,
	func(_ context.Context, p pair) error { return p.primary.Kill() })

// A machine that loses power or its network sends nothing any more: its connections are not even reset.
var hostVanished = newFailover("host_vanished", "the machine of the PostgreSQL that takes writes gone without a word, and promotion of the one that follows it", false,
	func(ctx context.Context, p pair) error {
		if err := rig.Silence(ctx, p.primary.Port); err != nil {
			return err
		}
		return p.primary.Kill()
	})

func newFailover(name, what string, quick bool, lose func(context.Context, pair) error) experiment {
	var p pair
	return experiment{
		name: name, what: what, quick: quick,
		where: func(*trial) setting {
			return setting{database: func(ctx context.Context, t *trial) (service, direct string, err error) {
				if p, err = t.makePair(ctx); err != nil {
					return "", "", err
				}
				url := rig.MultiHostURL("chaos", p.primary, p.standby)
				return url, url, nil
			}}
		},
		strike: func(ctx context.Context, t *trial) error {
			t.ending(func() error { return rig.Hear(context.WithoutCancel(ctx)) })
			began := time.Now()
			for range t.repeat(4, 1) {
				if !pause.For(ctx, t.between(500*time.Millisecond, 2*time.Second)) {
					return ctx.Err()
				}
				if err := t.failOver(ctx, &p, lose); err != nil {
					return err
				}
			}
			t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
			return nil
		},
	}
}

// makePair starts the two servers and creates a database.
func (t *trial) makePair(ctx context.Context) (p pair, err error) {
	if p.primary, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(t.folder, "one")}); err != nil {
		return p, err
	}
	t.ending(p.primary.Close)
	p.standby, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(t.folder, "other"), Data: rig.StandbyOf(p.primary)})
	if err != nil {
		return p, err
	}
	t.ending(p.standby.Close)
	if _, err := p.primary.CreateDatabase(ctx, "chaos"); err != nil {
		return p, err
	}
	return p, p.primary.WaitForStandby(ctx)
}

// failOver takes the primary down and promotes the standby, and then makes the former primary its standby.
func (t *trial) failOver(ctx context.Context, p *pair, lose func(context.Context, pair) error) error {
	before := t.inFlight()
	if err := lose(ctx, *p); err != nil {
		return err
	}
	if !pause.For(ctx, t.between(100*time.Millisecond, 2*time.Second)) { // until somebody notices
		return ctx.Err()
	}
	over := time.Now()
	if err := p.standby.Promote(ctx); err != nil {
		return err
	}
	itself := time.Since(over)
	took, err := t.recovered(ctx, over)
	if err != nil {
		return err
	}
	t.logf("%s: %d requests without an answer; promotion took %.2f s, all worked after %.2f s", t.name, t.inFlight()-before, itself.Seconds(), took.Seconds())
	if err := rig.Hear(ctx); err != nil {
		return err
	}
	p.primary, p.standby = p.standby, p.primary
	if err := p.standby.Follow(ctx, p.primary); err != nil {
		return err
	}
	return p.primary.WaitForStandby(ctx)
}
