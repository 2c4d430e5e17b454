package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/session"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Sessions stores what replicas share of sessions: the keys that sign them, and those that were signed out. It uses
// connections that requests cannot use up, so that signing out works under load.
type Sessions struct{ db *DB }

// NewSessions returns a store of sessions.
func NewSessions(db *DB) *Sessions { return &Sessions{db.reserved} }

// Keys implements session.Store.
func (s *Sessions) Keys(ctx context.Context) ([]session.Key, error) {
	rows, err := s.db.queries.SessionKeys(ctx)
	if err != nil {
		return nil, wrap("read the session keys", err)
	}
	keys := make([]session.Key, len(rows))
	for i, row := range rows {
		keys[i] = session.Key{Day: row.Day, Secret: session.Secret(row.Secret)}
	}
	return keys, nil
}

// AddKey implements session.Store.
func (s *Sessions) AddKey(ctx context.Context, key session.Key) error {
	err := s.db.queries.AddSessionKey(ctx, dbgen.AddSessionKeyParams{Day: key.Day, Secret: key.Secret[:]})
	return wrap("add a session key", err)
}

// End implements session.Store.
func (s *Sessions) End(ctx context.Context, id session.ID, expires time.Time) error {
	return wrap("end a session", s.db.queries.EndSession(ctx, dbgen.EndSessionParams{ID: id[:], ExpiresAt: expires}))
}

// Ended implements session.Store.
func (s *Sessions) Ended(ctx context.Context, since time.Time) ([]session.Ended, error) {
	rows, err := s.db.queries.EndedSessions(ctx, since)
	if err != nil {
		return nil, wrap("read the ended sessions", err)
	}
	ended := make([]session.Ended, len(rows))
	for i, row := range rows {
		ended[i] = session.Ended{ID: session.ID(row.ID), Expires: row.ExpiresAt, At: row.EndedAt}
	}
	return ended, nil
}

// CleanUp deletes ended sessions that have expired, and keys that signed none that is still valid.
func (s *Sessions) CleanUp(ctx context.Context) error {
	err := drop("delete expired sessions", deleteRows, func() (int64, error) {
		return s.db.queries.DropOldEndedSessions(ctx, deleteRows)
	})
	return errors.Join(err, wrap("delete old session keys", s.db.queries.DropOldSessionKeys(ctx)))
}
