package main

import (
	"context"
	"net/url"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

var networkStalled = newNetworkFault()

func newNetworkFault() experiment {
	var network *rig.Proxy
	return experiment{
		name: "network_stalled", quick: true,
		what: "a network between replicas and PostgreSQL that stalls without closing, loses what it knew of connections, or cuts them",
		where: func(*trial) setting {
			return setting{database: func(ctx context.Context, t *trial) (service, direct string, err error) {
				if _, direct, err = sharedDatabase(ctx, t); err != nil {
					return "", "", err
				}
				if network, err = rig.NewProxy(t.postgres.Address()); err != nil {
					return "", "", err
				}
				t.ending(network.Close)
				through, err := url.Parse(direct)
				if err != nil {
					return "", "", err
				}
				through.Host = network.Address()
				return through.String(), direct, nil
			}}
		},
		strike: func(ctx context.Context, t *trial) error {
			began := time.Now()
			rounds := []func(context.Context, *trial, *rig.Proxy) (over time.Time, what string){
				stalls, forgets, stallsAndCuts, slows,
			}
			for _, round := range rounds[:t.repeat(len(rounds), 1)] {
				if !pause.For(ctx, t.between(300*time.Millisecond, time.Second)) {
					return ctx.Err()
				}
				over, what := round(ctx, t, network)
				took, err := t.recovered(ctx, over)
				if err != nil {
					return err
				}
				t.logf("%s: %s; all worked after %.2f s", t.name, what, took.Seconds())
			}
			t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
			return nil
		},
	}
}

// stalls stops all traffic for longer than a sweep waits, and then resumes it.
func stalls(ctx context.Context, t *trial, network *rig.Proxy) (over time.Time, what string) {
	network.Stall()
	pause.For(ctx, t.between(4*time.Second, 7*time.Second))
	network.Resume()
	return time.Now(), "stalled for some seconds"
}

// forgets stops the traffic of existing connections permanently.
func forgets(_ context.Context, _ *trial, network *rig.Proxy) (over time.Time, what string) {
	network.Forget()
	return time.Now(), "the connections that there were never answered again"
}

// stallsAndCuts stops all traffic for longer than a request waits, and then closes all connections.
func stallsAndCuts(ctx context.Context, t *trial, network *rig.Proxy) (over time.Time, what string) {
	network.Stall()
	pause.For(ctx, t.between(12*time.Second, 20*time.Second))
	network.Cut()
	network.Resume()
	return time.Now(), "stalled until requests gave up, and cut"
}

// slows makes every round trip 100 ms longer, as to another continent. Everything works, but slower.
func slows(ctx context.Context, _ *trial, network *rig.Proxy) (over time.Time, what string) {
	network.Delay(50 * time.Millisecond)
	pause.For(ctx, 6*time.Second)
	network.Delay(0)
	return time.Now(), "slow for some seconds"
}
