package postgres_test

import "testing"

// BenchmarkIdleSweep measures what a replica queries twice a second while nothing changes, with 100,000 agents.
func BenchmarkIdleSweep(b *testing.B) {
	db, r := newFleet(b)
	db.exec(b, `INSERT INTO agents (id, name, token_hash, poll_interval_seconds)
		SELECT 'a' || n, '', sha256(n::text::bytea), 10 FROM generate_series(1, 100000) n`)
	db.exec(b, `ANALYZE agents`)
	watermark := r.sweep(b, "", newSink())
	idle := newSink()
	for b.Loop() {
		watermark = r.sweep(b, watermark, idle)
	}
	if idle.changes != 0 {
		b.Errorf("want nothing told, got %d", idle.changes)
	}
}
