package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// RateLimits stores the rate-limit buckets that replicas share. It uses connections that requests cannot use up, since
// limits matter most under load.
type RateLimits struct{ db *DB }

// NewRateLimits returns a store of rate limits.
func NewRateLimits(db *DB) *RateLimits { return &RateLimits{db.reserved} }

// Exchange implements ratelimit.Store with one statement.
func (s *RateLimits) Exchange(ctx context.Context, spent []ratelimit.Spent) ([]time.Duration, error) {
	const doing = "exchange rate limits"
	p := dbgen.ExchangeRateLimitsParams{
		Keys: make([][]byte, len(spent)), Taken: make([]float64, len(spent)), Debts: make([]float64, len(spent)),
	}
	for i, one := range spent {
		p.Keys[i], p.Taken[i], p.Debts[i] = one.Key[:], one.Taken.Seconds(), one.Debt.Seconds()
	}
	rows, err := s.db.queries.ExchangeRateLimits(ctx, p)
	if err != nil {
		return nil, wrap(doing, err)
	}
	heard := make(map[[32]byte]time.Duration, len(rows))
	for _, row := range rows { // in no particular order
		heard[[32]byte(row.Key)] = seconds(min(max(row.FullIn, -century), century))
	}
	fullIn := make([]time.Duration, len(spent))
	for i, one := range spent {
		var known bool
		if fullIn[i], known = heard[one.Key]; !known {
			return nil, fmt.Errorf("%s: %d keys were sent, %d returned", doing, len(spent), len(rows))
		}
	}
	return fullIn, nil
}

// CleanUp implements ratelimit.Store.
func (s *RateLimits) CleanUp(ctx context.Context) error {
	for {
		n, err := s.db.queries.DropFullRateLimits(ctx, limitRows)
		if err != nil || n < limitRows {
			return wrap("delete full rate limits", err)
		}
	}
}

const (
	limitRows = 5000               // maximum number deleted in one transaction
	century   = 100 * 366 * 86_400 // in seconds; much larger values would overflow a time.Duration
)
