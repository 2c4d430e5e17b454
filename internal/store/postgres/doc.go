// Package postgres stores Watchbill's state in PostgreSQL. It is the only package that uses pgx, SQL and SQLSTATE.
//
// There is one type for each kind of data: Agents, Deployments, Executions, Contents, Reports, RateLimits and Rollups.
// Mailbox is the source of the replicas' in-memory mailboxes, and Hints notifies other replicas of commits. All of them
// use a DB, which holds the connection pools.
//
// The SQL is in queries/, from which sqlc generates dbgen, and in migrations/. Statements that sqlc cannot type are
// next to the code that runs them. The package makes no domain decisions: a store locks and reads a row, calls a pure
// function of fleet, execution or trace, and writes the result, in one transaction (DB.inTx). Driver errors become
// fault.ErrUnavailable or are wrapped with the operation that failed.
package postgres
