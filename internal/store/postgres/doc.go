// Package postgres keeps the product's truth in PostgreSQL. It is the only package that knows pgx, SQL and SQLSTATE.
//
// The SQL lives in queries/ (typed by sqlc into dbgen) and migrations/. Decisions do not live here: a store reads a row
// under lock, lets the pure package decide, and writes what was decided, in one transaction (DB.inTx). Faults of the
// driver become fault.ErrUnavailable or are wrapped with what was being done.
package postgres
