package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/watchbill/watchbill/internal/fault"
)

// The SQLSTATEs that are handled. See PostgreSQL's manual, appendix A.
const (
	uniqueViolation       = "23505"
	featureNotSupported   = "0A000"
	foreignKeyViolation   = "23503"
	checkViolation        = "23514" // without a constraint's name if the row has no partition
	insufficientPrivilege = "42501"
	undefinedTable        = "42P01"
	lockNotAvailable      = "55P03"
	serializationFailure  = "40001"
	deadlockDetected      = "40P01"
)

// wrap wraps err with the operation that failed. If the database is unreachable, fails for a reason unrelated to the
// request, or does not respond in time, the result is also a fault.ErrUnavailable with the reason.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if reason := unavailable(err); reason != nil {
		return fmt.Errorf("%s: %w: %w", doing, reason, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// unavailable returns the reason if err means that the database is unavailable, and nil otherwise.
func unavailable(err error) *fault.Error {
	if errors.Is(err, context.Canceled) {
		return nil // canceled by the caller, so not a fault of the database
	}
	var connect *pgconn.ConnectError
	var pgErr *pgconn.PgError
	switch isPgError := errors.As(err, &pgErr); {
	case errors.Is(err, errReadOnly):
		return fault.UnavailableBecause("the database takes no writes now; try again later")
	case errors.As(err, &connect) && isPgError && refusal(pgErr.Code) != fault.ErrUnavailable:
		return fault.UnavailableBecause("the database refuses connections (%s); try again later", pgErr.Code)
	case connect != nil:
		return fault.ErrUnavailable
	case isPgError:
		return refusal(pgErr.Code)
	}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errSlow
	case errors.As(err, &network), pgconn.SafeToRetry(err),
		isAny(err, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, pgconn.ErrConnClosed, puddle.ErrClosedPool):
		return fault.ErrUnavailable
	}
	return nil
}

// errReadOnly is returned when a new connection is to a server that accepts no writes.
var errReadOnly = errors.New("the server is read-only")

var errSlow = fault.UnavailableBecause("the database did not respond in time; try again later")

// refusal returns the error for the client that an SQLSTATE means, or nil if the statement itself is at fault.
func refusal(code string) *fault.Error {
	switch class := code[:min(len(code), 2)]; {
	case class == "08", code == "57P01", code == "57P02", code == "57P03": // connection, shutdown, crash, start-up
		return fault.ErrUnavailable
	case code == "25006": // read-only
		return fault.UnavailableBecause("the database takes no writes now (%s); try again later", code)
	case code == "57014", code == lockNotAvailable, code == "25P03": // statement, lock and idle timeout
		return fault.UnavailableBecause("the database did not respond in time (%s); try again later", code)
	case class == "53", class == "57", class == "58": // resources, operator intervention, system
		return fault.UnavailableBecause("the database failed (%s); try again later", code)
	}
	switch code {
	// A grant, table, column, role, function or schema is missing.
	case insufficientPrivilege, undefinedTable, "42703", "42704", "42883", "3F000":
		return fault.UnavailableBecause("the database is not set up for this (%s); try again later", code)
	case serializationFailure, deadlockDetected: // after all retries: see transact
		return fault.UnavailableBecause("the database was too busy (%s); try again later", code)
	}
	return nil
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
