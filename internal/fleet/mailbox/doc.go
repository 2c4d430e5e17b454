// Package mailbox keeps, in each replica's memory, what every agent has waiting, so that a poll which finds nothing
// costs no query.
//
// It is a cache of PostgreSQL kept true by one goroutine, the sweeper: it asks for what changed since its last snapshot
// (twice a second at least, at once when hinted) and applies the differences in order. Nothing else writes what it
// holds, so there is no order of events to get wrong. It may be dropped at any moment; a slower answer is all that is
// lost. It knows no SQL and no HTTP.
package mailbox
