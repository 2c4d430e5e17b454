package dashboards

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/test/rig"
)

// workload uses a server so that each of its series has values.
type workload struct {
	server server
	db     *pgx.Conn
	agent  string // token of the agent edge-1
	client *http.Client
}

func newWorkload(t *testing.T, s server) *workload {
	t.Helper()
	db, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w := &workload{server: s, db: db, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}}
	var enrolled struct{ Token string }
	body := w.do(t, http.StatusCreated, http.MethodPost, "/api/agents", rig.EnrollmentToken, `{"id":"edge-1","name":"Edge 1","poll_interval_seconds":1}`)
	if err := json.Unmarshal(body, &enrolled); err != nil || enrolled.Token == "" {
		t.Fatalf("enrolment: %s, %v", body, err)
	}
	w.agent = enrolled.Token
	return w
}

// executions are a success, a failure, a model without a price, unknown usage, and a cost that the provider reported.
const executions = `{"executions":[
	{"user_id":"ada","agent_name":"tutor","model_used":"gpt-4o-mini","provider":"openai","input_tokens":1000000,"output_tokens":5000,"execution_time_ms":850,"status":"success"},
	{"user_id":"bob","agent_name":"tutor","model_used":"gpt-4o-mini","provider":"openai","input_tokens":800,"output_tokens":0,"execution_time_ms":90,"status":"failure","error_message":"the model is overloaded"},
	{"user_id":"bob","agent_name":"grader","model_used":"model-without-price","provider":"example","input_tokens":100,"output_tokens":50,"execution_time_ms":20,"status":"success"},
	{"user_id":"eve","agent_name":"grader","model_used":"gpt-4o-mini","provider":"openai","usage":"unknown","execution_time_ms":20,"status":"success"},
	{"user_id":"eve","agent_name":"grader","model_used":"gpt-4o-mini","provider":"openai","input_tokens":10,"output_tokens":5,"provider_cost_usd":0.001,"execution_time_ms":20,"status":"success"}]}`

// round makes requests of every kind once.
func (w *workload) round(t *testing.T) {
	t.Helper()
	w.do(t, http.StatusCreated, http.MethodPost, "/api/executions", rig.IngestToken, executions)
	w.do(t, http.StatusCreated, http.MethodPost, "/api/deployments", rig.AdminToken, `{"agent_ids":["edge-1"],"name":"web","spec":{}}`)
	w.do(t, http.StatusOK, http.MethodGet, "/api/deployments/pending/edge-1", w.agent, "")
	w.do(t, http.StatusOK, http.MethodGet, "/api/admin/costs?days=1&group_by=user", rig.AdminToken, "")
	for range 3 { // more than the limit, so some are refused
		w.do(t, 0, http.MethodPost, "/api/ai/process-stream", rig.IngestToken, `{"user_id":"ada","type":"echo","message":"hello"}`)
	}
	w.fail(t)
}

// fail makes a request fail with a server error: it waits for a lock when its connection is terminated.
func (w *workload) fail(t *testing.T) {
	t.Helper()
	tx, err := w.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE deployments IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		w.do(t, http.StatusServiceUnavailable, http.MethodPost, "/api/deployments", rig.AdminToken, `{"agent_ids":["edge-1"],"name":"web","spec":{}}`)
	}()
	const terminate = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-failed:
			waiting = false
		case <-tick.C:
			if _, err := tx.Exec(t.Context(), terminate); err != nil {
				t.Error(err)
			}
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// do sends a request and returns the response's body. A status of zero accepts any.
func (w *workload) do(t *testing.T, status int, method, path, token, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	response, err := w.client.Do(r)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || (status != 0 && response.StatusCode != status) {
		t.Errorf("%s %s: status %d: %s %v", method, path, response.StatusCode, content, err)
	}
	return content
}
