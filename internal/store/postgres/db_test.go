package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	for url, password := range map[string]string{
		"postgres://u:hunter2@h:5432/d":             "hunter2",
		"postgresql://h/d?user=u&password=hunter2":  "hunter2",
		"host=h user=u password='hunter2' dbname=d": "hunter2",
		"postgres://u@h/d":                          "",
	} {
		if problem := postgres.URLFault(url); problem != "" || postgres.Password(url) != password {
			t.Errorf("%s: want it understood with the password %q, got %q, %s", url, password, postgres.Password(url), problem)
		}
	}
	for _, url := range []string{
		"postgres://u:hunter2@h:port/d",
		"postgres://u:hunter2@h/d?sslmode=some",
		"postgres://u:hunter2@h/d?connect_timeout=soon",
		"postgres://u:hunter2@h/d?pool_max_conns=many",
		"postgres://u:hunter2%zz@h/d",
		"host=h user=u password=hunter2 port=x",
		"host=h user=u password='hunter2",
	} {
		_, openErr := postgres.Open(t.Context(), postgres.Config{URL: url})
		for _, err := range []error{openErr, errors.New(postgres.URLFault(url)), postgres.Migrate(t.Context(), url)} {
			if err == nil && strings.Contains(url, "pool_max_conns") {
				continue // irrelevant without a pool
			}
			if err == nil || err.Error() == "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: want it refused without its password, got %v", url, err)
			}
		}
		if got := postgres.Password(url); got != "" {
			t.Errorf("%s: got the password %q of what cannot be understood", url, got)
		}
	}
}

// TestConnectionLimits checks the defaults that apply unless the URL sets others.
func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	for _, tt := range []struct{ url, want string }{
		{db.url, "30s 30s UTC watchbill"},
		{db.with(t, "statement_timeout", "5s"), "5s 30s UTC watchbill"},
		{db.with(t, "idle_in_transaction_session_timeout", "0"), "30s 0 UTC watchbill"},
		{db.with(t, "application_name", "mine"), "30s 30s UTC mine"},
	} {
		r := newReplica(t, postgres.Config{URL: tt.url})
		for range 2 { // the second time on a connection returned to the pool
			var got string
			err := r.Query(t.Context(), `SELECT concat_ws(' ', current_setting('statement_timeout'),
				current_setting('idle_in_transaction_session_timeout'), current_setting('timezone'), current_setting('application_name'))`, &got)
			if err != nil || got != tt.want {
				t.Errorf("want %s, got %s, %v", tt.want, got, err)
			}
		}
	}
}

// TestLostConnectionsLeaveThePool stalls the pool's only connection: nothing sent on it gets a response and
// nothing closes it. The next query must not wait until the driver stops trying to close the connection.
func TestLostConnectionsLeaveThePool(t *testing.T) {
	t.Parallel()
	between := newProxy(t, newDatabase(t))
	r := newReplica(t, postgres.Config{URL: between.url, MaxConns: 1})
	var one int
	if err := r.Query(t.Context(), "SELECT 1", &one); err != nil {
		t.Fatal(err)
	}
	between.stall()
	hasty, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Query(hasty, "SELECT 1", &one); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("want no answer in time, got %v", err)
	}
	patient, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Query(patient, "SELECT 1", &one); err != nil {
		t.Errorf("cannot get a new connection: %v", err)
	}
}

func TestPoolIsCounted(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 1})
	r.enroll(t, agent("a"))
	if p := r.Pool(); p.Max != 1 || p.InUse != 0 || p.Waiting != 0 || p.Acquires == 0 {
		t.Errorf("at rest: got %+v", p)
	}
	waited := make(chan error, 1)
	_, err := r.deployments.Create(t.Context(), order("a"), nil, func(fleet.CreatedGroup) ([]byte, error) {
		go func() {
			_, err := r.agents.Agent(t.Context(), "a")
			waited <- err
		}()
		eventually(t, "somebody waits for a connection", func() bool { return r.Pool().Waiting == 1 })
		if p := r.Pool(); p.InUse != 1 || p.Idle != 0 {
			t.Errorf("with one in use: got %+v", p)
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if p := r.Pool(); p.Waiting != 0 || p.EmptyAcquires == 0 || p.AcquireWait <= 0 {
		t.Errorf("afterwards: got %+v", p)
	}
}
