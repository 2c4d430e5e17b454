package mailbox_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// Sweep implements mailbox.Source.
func (d *database) Sweep(ctx context.Context, since string, recheck []string, into mailbox.Sink) (string, error) {
	d.mu.Lock()
	rows, this := d.read(since, recheck)
	watermark := fmt.Sprintf("%d|%d", d.server, this.snapshot)
	index := len(d.sweeps)
	d.sweeps = append(d.sweeps, this)
	wait, gate := d.latency, d.gate
	if this.whole {
		wait += d.wholeSlow
	}
	if d.stalled {
		gate = make(chan struct{})
	}
	d.mu.Unlock()

	err := func() error {
		if this.whole {
			into.Full()
		}
		if err := sleep(ctx, wait, gate); err != nil {
			return err
		}
		for i, tell := range rows {
			if err := d.faultAt(i); err != nil {
				return err
			}
			tell(into)
		}
		return d.faultAt(len(rows))
	}()

	d.mu.Lock()
	defer d.mu.Unlock()
	this.ended = time.Now()
	d.sweeps[index] = this
	if err != nil {
		return "", err
	}
	d.applied = this
	return watermark, nil
}

func (d *database) faultAt(row int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil && row >= d.faultRow {
		return d.fault
	}
	return nil
}

func sleep(ctx context.Context, latency time.Duration, gate <-chan struct{}) error {
	if latency > 0 {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// read takes a snapshot and returns the rows of a sweep. d.mu must be held.
func (d *database) read(since string, recheck []string) (rows []func(mailbox.Sink), this sweep) {
	var server int
	var known uint64
	if since != "" {
		if _, err := fmt.Sscanf(since, "%d|%d", &server, &known); err != nil {
			panic(err)
		}
	}
	now := time.Now()
	this = sweep{begun: now, snapshot: d.commits, whole: server != d.server, rechecked: recheck}
	if this.whole {
		known = 0
	}
	for _, id := range slices.Sorted(maps.Keys(d.agents)) {
		r := d.agents[id]
		if r.changed > known && (this.whole || !r.unseen) {
			hash, own := fleet.HashToken(r.token), r.own
			_, enrolledBy, _ := strings.Cut(id, "@")
			rows = append(rows, func(s mailbox.Sink) { s.Agent(id, hash, own, enrolledBy) })
		}
		moved := r.moved > known || slices.Contains(recheck, id)
		if this.whole {
			moved = len(r.work) > 0
		}
		if moved {
			due, next := dueOf(r.work, now)
			rows = append(rows, func(s mailbox.Sink) { s.Waiting(id, due, next) })
		}
	}
	for _, id := range recheck {
		if d.agents[id] == nil && !this.whole {
			rows = append(rows, func(s mailbox.Sink) { s.Waiting(id, nil, -1) })
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.deleted)) {
		if d.deleted[id] > known && d.agents[id] == nil && !this.whole {
			rows = append(rows, func(s mailbox.Sink) { s.Deleted(id) })
		}
	}
	d.order.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows, this
}

// LookUpTokens implements mailbox.Source.
func (d *database) LookUpTokens(ctx context.Context, hashes []fleet.TokenHash) (known []fleet.TokenHash, err error) {
	d.mu.Lock()
	d.lookups++
	wait, gate := d.latency, d.gate
	if d.stalled {
		gate = make(chan struct{})
	}
	for _, r := range d.agents {
		if hash := fleet.HashToken(r.token); slices.Contains(hashes, hash) {
			known = append(known, hash)
		}
	}
	d.mu.Unlock()
	if err := sleep(ctx, wait, gate); err != nil {
		return nil, err
	}
	return known, d.faultAt(0)
}

// SavePresence implements mailbox.Source.
func (d *database) SavePresence(_ context.Context, seen []mailbox.Sighting) error {
	d.mu.Lock()
	d.saves = append(d.saves, save{time.Now(), seen})
	onSave, err := d.onSave, d.saveFault
	d.mu.Unlock()
	if onSave != nil {
		onSave()
	}
	return err
}

// tagsSince returns all tags that an agent had since a sweep's snapshot.
func (d *database) tagsSince(id string, s sweep) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var tags []string
	all := d.history[id]
	for i, v := range all {
		from, until := v.at, time.Now()
		if i+1 < len(all) {
			if all[i+1].commit <= s.snapshot {
				continue
			}
			until = all[i+1].at
		}
		if from.Before(s.begun) {
			from = s.begun
		}
		tags = append(tags, tagOf(v.work, from))
		for _, w := range v.work {
			if w.due.After(from) && !w.due.After(until) {
				tags = append(tags, tagOf(v.work, w.due))
			}
		}
	}
	return tags
}
