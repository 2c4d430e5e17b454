package rig

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
)

// AgentID returns the id of the i-th seeded agent.
func AgentID(i int) string { return fmt.Sprintf("agent-%08d", i) }

// AgentToken returns the token of the i-th seeded agent, of the usual length.
func AgentToken(i int) string { return fmt.Sprintf("%s%043d", fleet.TokenPrefix, i) }

// SeedAgents enrolls agents from, from+1, … to-1 in a database with the current schema, with enrollment times in the
// past.
func SeedAgents(ctx context.Context, databaseURL string, from, to int) (err error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	i := from - 1
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"agents"}, []string{"id", "name", "labels", "token_hash", "poll_interval_seconds"},
		pgx.CopyFromFunc(func() ([]any, error) {
			if i++; i >= to {
				return nil, nil
			}
			hash := fleet.HashToken(AgentToken(i))
			return []any{AgentID(i), AgentID(i), map[string]string{"rig": "seeded"}, hash[:], 10}, nil
		}))
	if err != nil {
		return fmt.Errorf("seed agents: %w", err)
	}
	_, err = conn.Exec(ctx, "ANALYZE agents")
	return err
}
