package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/test/rig"
)

// truth checks that the replicas' responses match their database.
type truth struct {
	r       *restoration
	servers [replicas]*rig.Server
	client  *http.Client
	tokens  map[string]string // those in the dump, by agent
	newer   map[string]string // those of agents that are not in the dump, and a rotated one
	seen    time.Time         // when the agent with the longest interval polled
	work    string            // the newest deployment of the reference agent
}

func newTruth(r *restoration, servers [replicas]*rig.Server) truth {
	return truth{
		r: r, servers: servers, tokens: map[string]string{}, newer: map[string]string{},
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second},
	}
}

func (x *truth) enrolAll(ctx context.Context) error {
	for id, interval := range map[string]int{"pending": 10, "gone": 10, "rotated": 10, "rarely": 3600, "worker": 1} {
		token, err := x.enrol(ctx, id, interval)
		if err != nil {
			return err
		}
		x.tokens[id] = token
	}
	if _, err := x.deploy(ctx, "pending", "before"); err != nil {
		return err
	}
	return x.log(ctx, 0, "sooner")
}

// must sends a request to a replica and decodes the response.
func (x *truth) must(ctx context.Context, replica int, method, path, token string, body, response any) error {
	status, text, err := send(ctx, x.client, method, x.servers[replica].URL+path, token, nil, body)
	if err == nil && status >= http.StatusBadRequest {
		err = fmt.Errorf("%d %.300s", status, text)
	}
	if err == nil && response != nil {
		err = json.Unmarshal(text, response)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (x *truth) enrol(ctx context.Context, id string, interval int) (token string, err error) {
	var made struct{ Token string }
	err = x.must(ctx, 0, http.MethodPost, "/api/agents", rig.EnrollmentToken, map[string]any{"id": id, "name": id, "poll_interval_seconds": interval}, &made)
	return made.Token, err
}

func (x *truth) deploy(ctx context.Context, agent, name string) (id string, err error) {
	var made struct{ Deployments []struct{ ID string } }
	err = x.must(ctx, 0, http.MethodPost, "/api/deployments", rig.AdminToken,
		map[string]any{"agent_ids": []string{agent}, "name": name, "spec": map[string]any{}}, &made)
	if err == nil && len(made.Deployments) != 1 {
		err = errors.New("the deployment was not made")
	}
	if err != nil {
		return "", err
	}
	return made.Deployments[0].ID, nil
}

func (x *truth) log(ctx context.Context, replica int, name string) error {
	return x.must(ctx, replica, http.MethodPost, "/api/executions", rig.IngestToken, map[string]any{
		"execution_id": newID(x.r.random0), "created_at": time.Now().UTC(), "user_id": "probe", "agent_name": name, "status": "success", "execution_time_ms": 1,
	}, nil)
}

// diverge enrolls, deletes and rotates agents so that they differ from the dump, and waits until every replica knows.
func (x *truth) diverge(ctx context.Context) (err error) {
	fresh := fmt.Sprintf("new-%d", x.r.round)
	x.newer = map[string]string{}
	if x.newer[fresh], err = x.enrol(ctx, fresh, 10); err != nil {
		return err
	}
	if err := x.must(ctx, 0, http.MethodDelete, "/api/agents/gone", rig.AdminToken, nil, nil); err != nil {
		return err
	}
	var rotated struct{ Token string }
	if err := x.must(ctx, 0, http.MethodPost, "/api/agents/rotated/token", rig.AdminToken, nil, &rotated); err != nil {
		return err
	}
	x.newer["rotated"] = rotated.Token
	var listed struct{ Deployments []struct{ ID string } }
	if err := x.must(ctx, 0, http.MethodGet, "/api/deployments?agent_id=pending&status=pending", rig.AdminToken, nil, &listed); err != nil {
		return err
	}
	for _, d := range listed.Deployments {
		if err := x.must(ctx, 0, http.MethodPost, "/api/deployments/"+d.ID+"/cancel", rig.AdminToken, nil, nil); err != nil {
			return err
		}
	}
	for i := range replicas {
		if err := x.log(ctx, i, later(i)); err != nil {
			return err
		}
	}
	if x.seen.IsZero() { // it is not due again before the end
		if status, _ := x.poll(ctx, 0, "rarely", x.tokens["rarely"]); status != http.StatusOK {
			return fmt.Errorf("the agent that rarely polls returned %d", status)
		}
		x.seen = time.Now()
	}
	known, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var wrong []string
	if !eventually(known, 100*time.Millisecond, func() bool {
		wrong = x.divergent(known)
		return len(wrong) == 0
	}) {
		return fmt.Errorf("what was changed is not known: %v", wrong)
	}
	return nil
}

// later returns a name of executions that are not in the dump.
func later(replica int) string { return fmt.Sprintf("later-%d", replica) }

// poll returns the status and the number of returned deployments.
func (x *truth) poll(ctx context.Context, replica int, agent, token string) (status, delivered int) {
	status, text, err := send(ctx, x.client, http.MethodGet, x.servers[replica].URL+"/api/deployments/pending/"+agent, token, nil, nil)
	if err != nil {
		return 0, 0
	}
	var response struct{ Deployments []struct{ Name string } }
	_ = json.Unmarshal(text, &response) // error responses have none
	return status, len(response.Deployments)
}

// want is the expected response to an agent's poll.
type want struct {
	agent, token      string
	status, delivered int
}

func (x *truth) polls(ctx context.Context, wanted []want) (wrong []string) {
	for i := range replicas {
		for _, w := range wanted {
			status, delivered := x.poll(ctx, i, w.agent, w.token)
			if status != w.status || status == http.StatusOK && delivered != w.delivered {
				wrong = append(wrong, fmt.Sprintf("replica %d answers %s %d with %d deployments, not %d with %d", i, w.agent, status, delivered, w.status, w.delivered))
			}
		}
	}
	return wrong
}

// divergent returns what differs from the state before the restore.
func (x *truth) divergent(ctx context.Context) []string {
	wanted := []want{
		{"gone", x.tokens["gone"], http.StatusUnauthorized, 0},
		{"rotated", x.tokens["rotated"], http.StatusUnauthorized, 0},
		{"pending", x.tokens["pending"], http.StatusOK, 0},
	}
	for agent, token := range x.newer {
		wanted = append(wanted, want{agent, token, http.StatusOK, 0})
	}
	wrong := x.polls(ctx, wanted)
	if x.r.round == 1 {
		wrong = append(wrong, x.unseen(ctx)...)
	}
	return wrong
}

// wrong returns the responses that differ from the restored database.
func (x *truth) wrong(ctx context.Context) []string {
	wanted := []want{
		{"gone", x.tokens["gone"], http.StatusOK, 0},
		{"rotated", x.tokens["rotated"], http.StatusOK, 0},
		{"pending", x.tokens["pending"], http.StatusOK, 1},
	}
	for agent, token := range x.newer {
		wanted = append(wanted, want{agent, token, http.StatusUnauthorized, 0})
	}
	wrong := append(x.polls(ctx, wanted), x.unseen(ctx)...)
	wrong = append(wrong, x.unnamed(ctx)...)
	return append(wrong, x.idle(ctx)...)
}

func (x *truth) ask(ctx context.Context, sql string, into any, args ...any) (err error) {
	conn, err := pgx.Connect(ctx, x.r.service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return conn.QueryRow(ctx, sql, args...).Scan(into)
}

// unseen reports if the database lacks the last poll of the agent with the longest interval.
func (x *truth) unseen(ctx context.Context) []string {
	var seen bool
	err := x.ask(ctx, `SELECT EXISTS (SELECT FROM agent_presence WHERE agent_id = 'rarely' AND last_seen_at > $1)`, &seen, x.seen.Add(-2*time.Second))
	if err != nil || !seen {
		return []string{fmt.Sprintf("when an agent was seen is not known (%v)", err)}
	}
	return nil
}

// unnamed returns the names of stored executions that are not registered.
func (x *truth) unnamed(ctx context.Context) (wrong []string) {
	for i := range replicas {
		err := x.log(ctx, i, later(i))
		var named bool
		if err == nil {
			err = x.ask(ctx, `SELECT EXISTS (SELECT FROM rollup_names WHERE kind = 'agent' AND name = $1)`, &named, later(i))
		}
		if err != nil || !named {
			wrong = append(wrong, fmt.Sprintf("the name of executions of replica %d is not registered (%v)", i, err))
		}
	}
	return wrong
}

// idle reports if the reference agent does not work.
func (x *truth) idle(ctx context.Context) []string {
	select {
	case <-x.r.worker.Done():
		return []string{"the reference agent has ended"}
	default:
	}
	var status string
	err := x.ask(ctx, `SELECT status FROM deployments WHERE id = $1`, &status, x.work)
	if x.work == "" || errors.Is(err, pgx.ErrNoRows) {
		if x.work, err = x.deploy(ctx, "worker", "work"); err == nil {
			return []string{"the reference agent is yet to work"}
		}
	}
	if err != nil || status != "succeeded" {
		return []string{fmt.Sprintf("what the reference agent does is %q (%v)", status, err)}
	}
	return nil
}
