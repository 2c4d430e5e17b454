package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// StandbyOf returns a PostgresOptions.Data for a server that follows another by streaming replication. It is read-only
// until it is promoted.
func StandbyOf(primary *Postgres) func(ctx context.Context, p *Postgres) error {
	return func(ctx context.Context, p *Postgres) error { return p.copyOf(ctx, primary) }
}

func (p *Postgres) copyOf(ctx context.Context, primary *Postgres) error {
	return p.Run(ctx, "pg_basebackup", "--pgdata="+p.data(), "--host=127.0.0.1", "--port="+strconv.Itoa(primary.Port),
		"--username=postgres", "--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf")
}

// Follow replaces the data of a stopped server with a copy of another, which it follows from then on, and starts it.
func (p *Postgres) Follow(ctx context.Context, primary *Postgres) error {
	if err := os.RemoveAll(p.data()); err != nil {
		return fmt.Errorf("remove the data of a server that was: %w", err)
	}
	if err := p.copyOf(ctx, primary); err != nil {
		return err
	}
	return p.Start(ctx)
}

// Promote makes a standby accept writes. It drops the setting to wait for standbys that it copied from its primary.
func (p *Postgres) Promote(ctx context.Context) error {
	return p.ask(ctx, "promote", func(conn *pgx.Conn) error {
		var done bool
		if err := conn.QueryRow(ctx, "SELECT pg_promote(wait_seconds => 30)").Scan(&done); err != nil {
			return err
		}
		if !done {
			return errors.New("it is a standby still")
		}
		return waitForStandby(ctx, conn, "")
	})
}

// WaitForStandby makes every commit wait until a standby has written it to disk, so that none is lost with this server.
// It returns when a standby follows.
func (p *Postgres) WaitForStandby(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return p.ask(ctx, "wait for a standby", func(conn *pgx.Conn) error {
		err := await(ctx, p.process, func() error {
			var streams bool
			err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')").Scan(&streams)
			if err == nil && !streams {
				err = errors.New("none follows")
			}
			return err
		})
		if err != nil {
			return err
		}
		return waitForStandby(ctx, conn, "*")
	})
}

func waitForStandby(ctx context.Context, conn *pgx.Conn, names string) error {
	if _, err := conn.Exec(ctx, "ALTER SYSTEM SET synchronous_standby_names = '"+names+"'"); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "SELECT pg_reload_conf()")
	return err
}

func (p *Postgres) ask(ctx context.Context, what string, do func(conn *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err == nil {
		err = errors.Join(do(conn), conn.Close(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s, on port %d: %w", what, p.Port, err)
	}
	return nil
}

// MultiHostURL returns the URL of a database, for the superuser, on whichever of the servers accepts writes.
func MultiHostURL(database string, servers ...*Postgres) string {
	addresses := make([]string, len(servers))
	for i, p := range servers {
		addresses[i] = p.Address()
	}
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&target_session_attrs=read-write", strings.Join(addresses, ","), database)
}
