// Package mailbox caches, in each replica's memory, which deployments each agent has pending, so that a poll that finds
// nothing runs no query.
//
//	poll ──token──▶ registry ──▶ record {tag, version, wake}      read by polls, lock-free after the look-up
//	                                ▲
//	PostgreSQL ──changes since──▶ sweeper                         the only writer
//	                                ▲
//	timer (500 ms), hints from other replicas, agenda (deployments that become due)
//
// One goroutine, the sweeper, keeps the cache current. A sweep asks the database for what changed since the watermark
// of the last one, at least twice a second and immediately when hinted, and applies the differences in order:
//
//	sweep 8:  begun = 8 ──▶ read in one snapshot ──▶ apply to records ──▶ watermark = w₈ ──▶ applied = 8
//	                        since watermark w₇       Agent    add, new token or interval
//	                        and the due agents       Waiting  set the tag, wake held polls
//	                        of the agenda            Deleted  remove, reuse the record
//
// A sweep may miss what is committed after its snapshot. So a write on this replica (x) notes the number of sweeps begun,
// and the views of its agents are Fresh again once a later sweep is applied:
//
//	sweeps           ├────── 7 ──────┤      ├────── 8 ──────┤
//	begun     6      7                      8
//	applied   6                      7                      8
//	written   0          x 7
//	Fresh     ───────────┤                                  ├─────    applied > written
//
// Invariants:
//
//   - Only the sweeper changes the registry and the records' tags, and takes and releases records. Polls read them.
//   - A sweep's changes and its watermark come from one database snapshot, so no change is missed or applied twice.
//   - A view is Fresh unless a write on this replica may be newer than the last applied sweep.
//   - A record's id, token and pace change only under the locks of the shards that lead to it and of registry.owners.
//   - A record's generation changes whenever its handles become invalid: the agent was deleted or its token rotated.
//     A record is reused after its agent is deleted, so readers check the generation after reading.
//   - A record's version changes with its tag, its generation and every local write, and wakes held polls.
//   - An agent is in the seenSet or parked while its record's seen is not 0.
//   - The cache may be dropped at any time; that costs latency and loses nothing.
//
// The package knows no SQL and no HTTP.
package mailbox
