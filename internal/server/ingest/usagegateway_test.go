package ingest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/gateway"
)

// one is a recorder that keeps the gateway's only record.
type one struct{ record execution.Execution }

func (o *one) Reserve() (gateway.Reservation, error) { return o, nil }

func (o *one) Prepare(e execution.Execution) (execution.Execution, *execution.Fault) { return e, nil }

func (o *one) Append(e execution.Execution) error {
	o.record = e
	return nil
}
func (o *one) Release() {}

func overGateway(t *testing.T, c usageCase) execution.Execution {
	t.Helper()
	answer := fmt.Sprintf(`{"model":%q,"provider":%q,"usage":%s,"output":"Mild."}`, c.model, c.provider, c.object)
	return checked(t, ranAgainst(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
}

// ranAgainst runs an agent through the gateway and returns the run's record.
func ranAgainst(t *testing.T, upstream http.HandlerFunc) execution.Execution {
	t.Helper()
	server := httptest.NewServer(upstream)
	defer server.Close()
	agents, err := gateway.ParseAgents([]byte("agents:\n- {name: a, types: ['*'], kind: http, http: {url: '"+server.URL+"'}}"), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	var records one
	g := gateway.New(gateway.Options{
		Agents: func() *gateway.Agents { return agents }, Recorder: &records, Now: time.Now, NewID: func() string { return "e" }, Log: zap.NewNop(),
	})
	defer g.Close()
	run, err := g.Start(execution.Prompt{Type: "chat", UserID: "u", Message: "Weather?"})
	if err != nil {
		t.Fatal(err)
	}
	run.Stream(t.Context(), func(execution.Event) error { return nil })
	return records.record
}
