package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// recordHistory makes the database record every transition of every deployment, in order.
func recordHistory(t *testing.T, db database) {
	t.Helper()
	db.exec(t, `CREATE TABLE history (n bigserial, id uuid, status text, attempt int, claim text)`)
	db.exec(t, `CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF TG_OP = 'INSERT' OR (OLD.status, OLD.attempt, OLD.claim) IS DISTINCT FROM (NEW.status, NEW.attempt, NEW.claim) THEN
			INSERT INTO history (id, status, attempt, claim) VALUES (NEW.id, NEW.status, NEW.attempt, coalesce(NEW.claim, ''));
		END IF;
		RETURN NULL;
	END $$`)
	db.exec(t, `CREATE TRIGGER record AFTER INSERT OR UPDATE ON deployments FOR EACH ROW EXECUTE FUNCTION record()`)
}

// move is a state that a deployment entered, or that the server confirmed to a process.
type move struct {
	status  fleet.Status
	attempt int
	claim   string
}

// journal records, by deployment, what the server confirmed to all processes.
type journal struct {
	mu       sync.Mutex
	accepted map[uuid.UUID][]move
}

func (j *journal) note(id uuid.UUID, m move) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.accepted[id] = append(j.accepted[id], m)
}

// process runs deployments as a faulty agent would: it crashes, restarts, and repeats reports.
type process struct {
	store   *replica
	db      database
	agent   string
	random  *rand.Rand
	journal *journal
	runs    int
	zombies []zombie // claims that it held when it crashed
}

type zombie struct {
	id uuid.UUID
	fleet.Report
}

// work runs until every deployment is finished.
func (p *process) work(ctx context.Context) error {
	for {
		set, err := p.store.deployments.Pending(ctx, p.agent)
		if err != nil {
			return err
		}
		pending := set.Deployments
		if len(pending) > 0 {
			err = p.run(ctx, pending[p.random.IntN(len(pending))])
		} else {
			var finished bool
			if finished, err = p.passTime(ctx); finished {
				return err
			}
		}
		if err == nil && len(p.zombies) > 0 && p.random.IntN(3) == 0 {
			late := p.zombies[p.random.IntN(len(p.zombies))]
			_, err = p.say(ctx, late.id, late.Report)
		}
		if err != nil {
			return err
		}
	}
}

func (p *process) run(ctx context.Context, d fleet.Deployment) error {
	p.runs++
	claim := fmt.Sprintf("%s %p %d", p.agent, p, p.runs)
	accepted, err := p.say(ctx, d.ID, saying(fleet.Running, d.Attempt, claim))
	for accepted && err == nil {
		switch p.random.IntN(6) {
		case 0, 1: // renew
			accepted, err = p.say(ctx, d.ID, saying(fleet.Running, d.Attempt, claim))
			continue
		case 2: // crash
			p.zombies = append(p.zombies, zombie{d.ID, saying(fleet.Succeeded, d.Attempt, claim)},
				zombie{d.ID, saying(fleet.Running, d.Attempt, claim)}, zombie{d.ID, saying(fleet.Failed, d.Attempt, claim)})
			return nil
		}
		result := saying(fleet.Succeeded, d.Attempt, claim)
		if p.random.IntN(2) == 0 {
			result = saying(fleet.Failed, d.Attempt, claim, func(r *fleet.Report) { r.Retryable = p.random.IntN(4) > 0 })
		}
		if accepted, err = p.say(ctx, d.ID, result); accepted && err == nil {
			if repeated, err := p.say(ctx, d.ID, result); !repeated || err != nil { // whatever happened to it since
				return fmt.Errorf("repeated report %+v: accepted %v: %w", result, repeated, err)
			}
		}
		return err
	}
	return err
}

// say sends a report, and records it if it was accepted.
func (p *process) say(ctx context.Context, id uuid.UUID, r fleet.Report) (accepted bool, err error) {
	_, err = p.store.deployments.Report(ctx, p.agent, id, r)
	switch {
	case err == nil:
		p.journal.note(id, move{r.Status, r.Attempt, r.Claim})
		return true, nil
	case isAnyOf(err, fleet.ErrStaleAttempt, fleet.ErrClaimed, fleet.ErrNotDue, fleet.ErrCancelled, fleet.ErrFinished,
		fleet.ErrAlreadyRecorded, fleet.ErrNotClaimed):
		return false, nil
	default:
		return false, err
	}
}

// passTime expires some leases and makes some retries due, and reports whether all deployments are finished.
func (p *process) passTime(ctx context.Context) (finished bool, err error) {
	if _, err = p.db.pool.Exec(ctx, `UPDATE deployments SET available_at = now() WHERE id IN (
		SELECT id FROM deployments WHERE status = 'pending' AND available_at > now() AND random() < 0.5 ORDER BY id FOR UPDATE SKIP LOCKED)`); err != nil {
		return false, err
	}
	if _, err = p.db.pool.Exec(ctx, `UPDATE deployments SET lease_expires_at = now() WHERE id IN (
		SELECT id FROM deployments WHERE status = 'running' AND random() < 0.2 ORDER BY id FOR UPDATE SKIP LOCKED)`); err != nil {
		return false, err
	}
	if _, err = p.store.deployments.ExpireLeases(ctx, 3); err != nil {
		return false, err
	}
	err = p.db.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM deployments WHERE status IN ('pending', 'running'))`).Scan(&finished)
	return finished, err
}

func isAnyOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// TestManyProcessesOnTwoReplicas has several processes of each agent run
// deployments on two replicas, while leases expire and users cancel.
func TestManyProcessesOnTwoReplicas(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	agents := []string{"a", "b", "c"}
	db, first := newFleet(t, agents...)
	recordHistory(t, db)
	replicas := [2]*replica{first, newReplica(t, postgres.Config{URL: db.url})}
	j := &journal{accepted: map[uuid.UUID][]move{}}
	var ids []uuid.UUID
	for range 20 {
		for _, d := range first.create(t, order(agents...)).Deployments {
			ids = append(ids, d.ID)
		}
	}

	g, ctx := errgroup.WithContext(t.Context())
	for i := range 12 {
		p := &process{
			store: replicas[i%2], db: db, agent: agents[i%3], random: rand.New(rand.NewPCG(seed, uint64(i))), journal: j,
		}
		g.Go(func() error { return p.work(ctx) })
	}
	g.Go(func() error { // users who cancel
		for i, id := range ids[:6] {
			if _, err := replicas[i%2].deployments.Cancel(ctx, id); err == nil {
				j.note(id, move{status: fleet.Cancelled})
			} else if !errors.Is(err, fleet.ErrFinished) {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	ends := map[fleet.Status]int{}
	for _, id := range ids {
		ends[j.verify(t, db, id)]++
	}
	t.Logf("they ended as %v", ends)
	db.neverDeadlocked(t)
}

// verify checks a deployment's history against the state machine and the confirmed reports. It returns the final state.
func (j *journal) verify(t *testing.T, db database, id uuid.UUID) fleet.Status {
	t.Helper()
	rows, err := db.pool.Query(t.Context(), `SELECT status, attempt, claim FROM history WHERE id = $1 ORDER BY n`, id)
	if err != nil {
		t.Fatal(err)
	}
	var history []move
	var m move
	for rows.Next() {
		if err := rows.Scan(&m.status, &m.attempt, &m.claim); err != nil {
			t.Fatal(err)
		}
		if !mayFollow(history, m) {
			t.Errorf("%s: %v after %v", id, m, history)
		}
		history = append(history, m)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	end := history[len(history)-1]
	if !end.status.Finished() {
		t.Errorf("%s: lost as %v", id, end)
	}

	// Every confirmed claim or result is in the history, and every one in the history was confirmed.
	for _, accepted := range j.accepted[id] {
		switch accepted.status {
		case fleet.Running:
			if !slices.Contains(history, accepted) {
				t.Errorf("%s: told %v, which never was; history %v", id, accepted, history)
			}
		case fleet.Succeeded:
			if accepted != end {
				t.Errorf("%s: told %v, ended as %v", id, accepted, end)
			}
		case fleet.Failed:
			retried := move{fleet.Pending, accepted.attempt + 1, ""}
			if accepted != end && !slices.Contains(history, retried) {
				t.Errorf("%s: told %v; history %v", id, accepted, history)
			}
		case fleet.Cancelled:
			if end.status != fleet.Cancelled {
				t.Errorf("%s: told it is cancelled, ended as %v", id, end)
			}
		}
	}
	for _, was := range history {
		if was.status == fleet.Cancelled {
			was = move{status: fleet.Cancelled}
		}
		if was.status != fleet.Pending && was.status != fleet.TimedOut && !slices.Contains(j.accepted[id], was) {
			t.Errorf("%s: %v, which no result reports", id, was)
		}
	}
	past := ask[int](t, db, `SELECT count(*)::int FROM deployment_attempts WHERE deployment_id = $1 AND attempt < $2`, id, end.attempt)
	all := ask[int](t, db, `SELECT count(*)::int FROM deployment_attempts WHERE deployment_id = $1`, id)
	if past != end.attempt-1 || all != past {
		t.Errorf("%s: ended in attempt %d with %d in its past, %d in all", id, end.attempt, past, all)
	}
	return end.status
}

// mayFollow is the state machine: it reports whether next may follow history.
func mayFollow(history []move, next move) bool {
	if len(history) == 0 {
		return next == move{fleet.Pending, 1, ""}
	}
	switch last := history[len(history)-1]; last.status {
	case fleet.Pending:
		return next.attempt == last.attempt && (next.status == fleet.Running && next.claim != "" || next.status == fleet.Cancelled && next.claim == "")
	case fleet.Running:
		return next == move{fleet.Pending, last.attempt + 1, ""} || next.status.Finished() && next.attempt == last.attempt && next.claim == last.claim
	default:
		return false
	}
}
