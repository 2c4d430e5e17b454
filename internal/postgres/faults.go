package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/watchbill/watchbill/internal/fleet"
)

// The SQLSTATEs that we act on. See PostgreSQL's manual, appendix A.
const (
	uniqueViolation       = "23505"
	foreignKeyViolation   = "23503"
	checkViolation        = "23514" // without the name of a constraint: no partition for the row
	insufficientPrivilege = "42501"
	undefinedTable        = "42P01"
	serializationFailure  = "40001"
	deadlockDetected      = "40P01"
)

// fault wraps err with what was being done. Where the database is away, overloaded, shutting down or not writable, or
// did not answer in time, the result is also fleet.ErrUnavailable.
func fault(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case unavailable(err):
		return fmt.Errorf("%s: %w: %w", doing, fleet.ErrUnavailable, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // the caller gave up, which says nothing about the database
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true // whatever the server's reason was
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		for _, class := range []string{"08", "53", "57", "58"} { // connection, resources, operator intervention and timeouts, system
			if strings.HasPrefix(pgErr.Code, class) {
				return true
			}
		}
		switch pgErr.Code {
		case "25006", "25P03", "55P03": // read-only (a standby), idle in transaction, lock timeout
			return true
		}
		return false
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		isAny(err, context.DeadlineExceeded, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, pgconn.ErrConnClosed, puddle.ErrClosedPool)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
