package replica_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// background are the queries that a replica runs regardless of polls.
var background = map[string]bool{
	"Sweep": true, "SweepWhole": true, "DatabaseLife": true, "SavePresence": true, "LockExpiredDeployments": true, "begin": true, "commit": true,
	"LatestFleetRollup": true, "SampleFleet": true, "CountDeployments": true, "SaveFleetRollup": true,
	"SaveRequestRollup": true, "SaveQueryRollup": true, "SaveReplicaRollup": true, "Hint": true,
	"DropOldDeployments": true, "DropOldIdempotencyKeys": true, "DropOldDeletedAgents": true, "DropOldReports": true,
	"DropOldRollups": true, "OldestMinute": true,

	"ProbeFleet": true, "ProbePresence": true, "ProbeRollups": true, "ProbeExecutions": true, "ProbeExecutionRollups": true, "ProbeSpans": true,
	"MarkReplica": true, "DropOldReplicas": true,
	"EndedSessions": true, "SessionKeys": true, "DropOldEndedSessions": true, "DropOldSessionKeys": true,
	"ProbeNames": true, "ProbeRateLimits": true,
	"BecomeWriter": true, "copy staged_executions": true, "copy execution_deltas": true, "copy user_deltas": true,

	"Login": true, "TryDroppingPartitions": true, "SchemaVersion": true, "Now": true, "set": true, "TakeUnsettled": true,
	"TryFolding": true, "TakeExecutionDeltas": true, "FoldUserDeltas": true, "CountDeltas": true,
	"LockPartitions": true, "IsPartition": true, "MakePartition": true, "GuardCopied": true, "Partitions": true,
	"TryIndexingPartitions": true, "MissingIndexes": true, "BuildIndex": true, "AttachIndex": true, "LockNames": true, "DropUnusedNames": true, "RollupNames": true,
	"DropOldExecutionRollups": true, "DropOldUserRollups": true, "DropOldSpans": true, "DropOldJoined": true, "DropOldCallScopes": true,
	"OldestTransaction": true, "ReadExecutionSpend": true, "TakeContents": true, "CountContents": true, "DropOldContents": true,
}

func TestIdlePollsRunNoQuery(t *testing.T) {
	t.Parallel()
	const agents, polls = 20, 10_000
	n := start(t, postgrestest.NewDatabase(t))
	tokens := make([]string, agents)
	for i := range tokens {
		tokens[i] = n.enroll("agent-" + strconv.Itoa(i))
	}
	await.Until(t, "all of them known", func() bool { // a new agent's first polls query the database
		asked := n.queries()["PendingDeployments"]
		for i, token := range tokens {
			n.get(pendingPath("agent-"+strconv.Itoa(i)), token)
		}
		return n.queries()["PendingDeployments"] == asked
	})
	before := n.queries()
	began := time.Now()
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := c; i < polls; i += 8 {
				a, header := i%agents, []string{}
				if i%2 == 0 {
					header = []string{"If-None-Match", fleet.NothingWaiting}
				}
				got, err := n.try(http.MethodGet, pendingPath("agent-"+strconv.Itoa(a)), tokens[a], nil, header...)
				want := http.StatusOK
				if len(header) > 0 {
					want = http.StatusNotModified
				}
				if err != nil || got.status != want {
					t.Errorf("want %d, got %d, %v", want, got.status, err)
					return
				}
			}
		})
	}
	clients.Wait()
	took := time.Since(began)
	total := 0.0
	for name, count := range n.queries() {
		if ran := count - before[name]; ran > 0 {
			total += ran
			if !background[name] {
				t.Errorf("%s ran %v times", name, ran)
			}
		}
	}
	// Background queries run at fixed intervals, a few times per second.
	if limit := 60 + 40*took.Seconds(); total > limit {
		t.Errorf("%v queries ran in %s of idle polls; by the clock at most %v would", total, took, limit)
	}
	t.Logf("%d idle polls in %s; %v queries ran by the clock meanwhile", polls, took.Round(time.Millisecond), total)
}

func TestPollAnswers(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t))
	token, other := n.enroll("a"), n.enroll("b")

	ids, first := n.pending("a", token)
	if len(ids) != 0 || first.header.Get("ETag") != fleet.NothingWaiting {
		t.Errorf("nothing waits: got %v, ETag %s", ids, first.header.Get("ETag"))
	}
	older, newer := n.deploy("a"), n.deploy("a")
	ids, listed := n.pending("a", token)
	if !slices.Equal(ids, []string{older, newer}) {
		t.Errorf("want %s and %s, oldest first, got %v", older, newer, ids)
	}
	tag := listed.header.Get("ETag")
	for _, header := range []string{tag, `"x", ` + tag, tag[len("W/"):], "*"} {
		_, again := n.pending("a", token, "If-None-Match", header)
		if again.status != http.StatusNotModified || len(again.body) != 0 || again.header.Get("ETag") != tag {
			t.Errorf("If-None-Match: %s: want an empty 304, got %d %s", header, again.status, again.body)
		}
		if s, err := strconv.ParseFloat(again.header.Get("Watchbill-Poll-Interval"), 64); err != nil || s < 9 || s > 11 {
			t.Errorf("want an interval of 10 s ± 10 %%, got %q", again.header.Get("Watchbill-Poll-Interval"))
		}
	}
	if got := n.report(token, older, "c1", "running"); got.status != http.StatusOK {
		t.Fatalf("claim: %d %s", got.status, got.body)
	}
	if ids, _ = n.pending("a", token, "If-None-Match", tag); !slices.Equal(ids, []string{newer}) {
		t.Errorf("what the agent runs is not listed: want %s, got %v", newer, ids)
	}
	for name, tt := range map[string]struct {
		path, token string
		want        int
	}{
		"no token":             {pendingPath("a"), "", http.StatusUnauthorized},
		"unknown token":        {pendingPath("a"), "wba_" + "x", http.StatusUnauthorized},
		"another agent's":      {pendingPath("a"), other, http.StatusForbidden},
		"no such agent":        {pendingPath("nobody"), token, http.StatusForbidden},
		"admin":                {pendingPath("a"), adminToken, http.StatusOK},
		"admin, no such agent": {pendingPath("nobody"), adminToken, http.StatusNotFound},
		"wait of hours":        {pendingPath("a") + "?wait=2h", token, http.StatusBadRequest},
		"wait of nonsense":     {pendingPath("a") + "?wait=soon", token, http.StatusBadRequest},
	} {
		if got := n.get(tt.path, tt.token); got.status != tt.want {
			t.Errorf("%s: want %d, got %d %s", name, tt.want, got.status, got.body)
		}
	}
}

// A held poll must return soon, whichever replica holds it.
func TestWaitingAgentOnAnotherReplica(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	a, b := start(t, database), start(t, database)
	token := a.enroll("agent")
	if _, got := b.pending("agent", token); got.status != http.StatusOK {
		t.Fatalf("an agent enrolled on one replica polls the other at once: got %d %s", got.status, got.body)
	}
	var delays []time.Duration
	for range 31 {
		delays = append(delays, pickup(t, a, b, "agent", token))
	}
	slices.Sort(delays)
	median := delays[len(delays)/2]
	t.Logf("commit on one replica to answer on the other: median %s, worst %s", median, delays[len(delays)-1])
	if median > 100*time.Millisecond {
		t.Errorf("median of %d deliveries between replicas is %s", len(delays), median)
	}
	_, onA := a.pending("agent", token)
	_, onB := b.pending("agent", token)
	if x, y := onA.header.Get("ETag"), onB.header.Get("ETag"); x != y {
		t.Errorf("two tags for one set: %s and %s", x, y)
	}
}

// pickup returns the time from the response of a create on one node to that of a poll held on another.
func pickup(t *testing.T, from, to *node, agent, token string) time.Duration {
	t.Helper()
	type result struct {
		at  time.Time
		ids []string
	}
	polled := make(chan result)
	started := make(chan struct{})
	go func() {
		close(started)
		got, err := to.try(http.MethodGet, pendingPath(agent)+"?wait=20s", token, nil)
		if err != nil || got.status != http.StatusOK {
			t.Errorf("held poll: %d, %v", got.status, err)
		}
		var ids []string
		if err == nil {
			ids = idsOf(t, got)
		}
		polled <- result{time.Now(), ids}
	}()
	<-started
	id := from.deploy(agent)
	committed := time.Now()
	r := <-polled
	if !slices.Equal(r.ids, []string{id}) {
		t.Fatalf("want %s, got %v", id, r.ids)
	}
	for _, status := range []string{"running", "succeeded"} {
		if got := to.report(token, id, "c", status); got.status != http.StatusOK {
			t.Fatalf("report %s: %d %s", status, got.status, got.body)
		}
	}
	return max(r.at.Sub(committed), 0)
}

// pollUntilSure polls as agents do, which retry if a replica is unavailable: on a busy machine its sweeps may be late.
func (n *node) pollUntilSure(t *testing.T, agent, token string, wait time.Duration) int {
	for deadline := time.Now().Add(time.Minute); ; {
		got, err := n.try(http.MethodGet, pendingPath(agent)+"?wait="+wait.String(), token, nil)
		if err != nil {
			t.Error(err)
		}
		if got.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return got.status
		}
	}
}

func TestRevokedTokenIsRejectedEverywhere(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	a, b := start(t, database), start(t, database)
	for name, revoke := range map[string]func(id string){
		"deleted": func(id string) { a.do(http.MethodDelete, "/api/agents/"+id, adminToken, nil) },
		"rotated": func(id string) { a.do(http.MethodPost, "/api/agents/"+id+"/token", adminToken, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			token := a.enroll(name)
			held := make(chan int)
			go func() { held <- b.pollUntilSure(t, name, token, 30*time.Second) }()
			await.Until(t, "known on the other replica", func() bool {
				return b.get(pendingPath(name), token).status == http.StatusOK
			})
			revoke(name)
			revoked := time.Now()
			await.Until(t, "refused on the other replica", func() bool {
				return b.get(pendingPath(name), token).status == http.StatusUnauthorized
			})
			if got := a.pollUntilSure(t, name, token, 0); got != http.StatusUnauthorized {
				t.Errorf("on the replica that revoked it: want 401, got %d", got)
			}
			if got := <-held; got != http.StatusUnauthorized {
				t.Errorf("a held poll under it: want 401, got %d", got)
			}
			t.Logf("dead everywhere after %s", time.Since(revoked).Round(time.Millisecond))
		})
	}
}

func TestNothingIsMissedWithoutHints(t *testing.T) {
	t.Parallel()
	for name, hurt := range map[string]func(t *testing.T, database string, listening *postgrestest.Proxy){
		"listening connection terminated": func(t *testing.T, database string, _ *postgrestest.Proxy) {
			terminateListeners(t, database)
		},
		"listening socket stalled": func(_ *testing.T, _ string, listening *postgrestest.Proxy) { listening.Stall() },
		"listening refused":        func(_ *testing.T, _ string, listening *postgrestest.Proxy) { listening.Cut() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := postgrestest.NewDatabase(t)
			listening := postgrestest.NewProxy(t, database)
			a := start(t, database)
			b := start(t, database, func(c *replica.Config) { c.DatabaseDirectURL = listening.URL })
			token := a.enroll("agent")
			pickup(t, a, b, "agent", token)
			hurt(t, database, listening)
			for range 5 {
				if took := pickup(t, a, b, "agent", token); took > 3*time.Second {
					t.Errorf("delivered only after %s", took)
				}
			}
		})
	}
}

func terminateListeners(t *testing.T, database string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	tag, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	if err != nil || tag.RowsAffected() == 0 {
		t.Fatalf("terminate the listening connections: %d, %v", tag.RowsAffected(), err)
	}
}

func TestDatabaseOutageClosesMailbox(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	proxy := postgrestest.NewProxy(t, database)
	n := start(t, proxy.URL, func(c *replica.Config) { c.StaleGrace = 2 * time.Second })
	token := n.enroll("idle")
	busy := n.enroll("busy")
	n.deploy("busy")
	await.Until(t, "listed", func() bool { ids, _ := n.pending("busy", busy); return len(ids) == 1 })

	proxy.Cut()
	for name, tt := range map[string]struct {
		agent, token string
		want         int
	}{
		"known and empty":    {"idle", token, http.StatusOK},
		"known with work":    {"busy", busy, http.StatusServiceUnavailable},
		"a token never seen": {"idle", "wba_x", http.StatusServiceUnavailable},
	} {
		if got := n.get(pendingPath(tt.agent), tt.token); got.status != tt.want {
			t.Errorf("%s: want %d, got %d %s", name, tt.want, got.status, got.body)
		}
	}
	if got := n.get("/api/health", ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("health: want 503, got %d %s", got.status, got.body)
	}
	if got := n.get("/readyz", ""); got.status != http.StatusOK {
		t.Errorf("polls go on from memory, so it is ready: got %d %s", got.status, got.body)
	}
	var closed answer
	await.Until(t, "refusing after the grace", func() bool {
		closed = n.get(pendingPath("idle"), token)
		return closed.status == http.StatusServiceUnavailable
	})
	if closed.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	proxy.Resume()
	await.Until(t, "answering again", func() bool {
		ids, _ := n.pending("busy", busy)
		return len(ids) == 1 && n.get(pendingPath("idle"), token).status == http.StatusOK
	})
}

func TestDrainAnswersHeldPolls(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t))
	token := n.enroll("agent")
	held := make(chan answer)
	go func() {
		got, err := n.try(http.MethodGet, pendingPath("agent")+"?wait=60s", token, nil)
		if err != nil {
			t.Error(err)
		}
		held <- got
	}()
	await.Until(t, "held", func() bool { return n.seen("agent") })
	began := time.Now()
	n.stop()
	if got := <-held; got.status != http.StatusOK {
		t.Errorf("want 200 with nothing, got %d %s", got.status, got.body)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("shutting down took %s", took)
	}
}

func idsOf(t *testing.T, a answer) (ids []string) {
	t.Helper()
	var p struct{ Deployments []struct{ ID string } }
	a.decode(t, &p)
	for _, d := range p.Deployments {
		ids = append(ids, d.ID)
	}
	return ids
}

// seen reports whether the agent's last poll, which may be held, is in the database.
func (n *node) seen(agent string) bool {
	var a struct {
		LastSeenAt *time.Time `json:"last_seen_at"`
	}
	n.get("/api/agents/"+agent, adminToken).decode(n.t, &a)
	return a.LastSeenAt != nil
}
