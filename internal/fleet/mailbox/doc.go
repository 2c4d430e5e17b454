// Package mailbox caches, in each replica's memory, which deployments each agent has pending, so that a poll that finds
// nothing runs no query.
//
//	poll ──token──▶ registry ──▶ record {tag, version, wake}      read by polls, lock-free after the look-up
//	                                ▲
//	PostgreSQL ──changes since──▶ sweeper                         the only writer
//	                                ▲
//	timer (500 ms), hints from other replicas, agenda (deployments that become due)
//
// One goroutine, the sweeper, keeps the cache current. A sweep asks the database for what changed since the watermark of
// the last one, at least twice a second and at once when hinted, and applies the differences in order.
//
// Invariants:
//
//   - Only the sweeper changes the registry and the records' tags. Polls read them.
//   - A sweep's changes and its watermark come from one database snapshot, so no change is missed or applied twice.
//   - A view is Fresh unless a write on this replica may be newer than the last applied sweep.
//   - A record's generation changes whenever its handles become invalid: the agent was deleted or its token rotated.
//     A record is reused after its agent is deleted, so readers check the generation after reading.
//   - A record's version changes with its tag, its generation and every local write, and wakes held polls.
//   - The cache may be dropped at any time; that costs latency and loses nothing.
//
// The package knows no SQL and no HTTP.
package mailbox
