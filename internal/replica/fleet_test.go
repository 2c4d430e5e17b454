package replica_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

const adminToken = "the-admins-token"

func TestMain(m *testing.M) {
	os.Exit(postgrestest.Main(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop")))
}

// node is a replica under test.
type node struct {
	t       testing.TB
	url     string
	metrics string
	grpc    string // address of OTLP over gRPC; empty if not served
	client  *http.Client
	stop    func()

	// withoutDatabase is set if the replica is stopped while its database is unreachable, which Run then returns.
	withoutDatabase bool
}

// start runs a replica on a database until the test ends, with a configuration modified by change.
func start(t testing.TB, database string, change ...func(*replica.Config)) *node {
	t.Helper()
	config := replica.Defaults()
	config.Listen, config.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	config.DatabaseURL, config.AdminToken, config.Version = database, adminToken, "test"
	config.ShutdownTimeout = 5 * time.Second
	for _, c := range change {
		c(&config)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	logs, err := logging.New(logging.Options{Level: "error", Stdout: testLog{t}, Stderr: testLog{t}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	r, err := replica.New(t.Context(), config, logs, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	n := &node{
		t: t, url: "http://" + r.Address(), metrics: "http://" + r.MetricsAddress() + "/metrics", grpc: r.GRPCAddress(),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 90 * time.Second},
	}
	if config.TLSCertFile != "" {
		n.url = "https://" + r.Address()
		n.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // of a test's own server
	}
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		err := <-done
		if errors.Is(err, fault.ErrUnavailable) && n.withoutDatabase {
			err = nil
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the replica ended with %v", err)
		}
		n.client.CloseIdleConnections()
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(n.stop)
	await.Until(t, "ready", func() bool { return n.get("/readyz", "").status == http.StatusOK })
	return n
}

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
}

func (n *node) do(method, path, token string, body any, header ...string) answer {
	n.t.Helper()
	a, err := n.try(method, path, token, body, header...)
	if err != nil {
		n.t.Fatal(err)
	}
	return a
}

func (n *node) try(method, path, token string, body any, header ...string) (answer, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, n.url+path, content)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := n.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}

func (n *node) get(path, token string, header ...string) answer {
	n.t.Helper()
	return n.do(http.MethodGet, path, token, nil, header...)
}

// enroll enrolls an agent and returns its token.
func (n *node) enroll(id string) string {
	n.t.Helper()
	a := n.do(http.MethodPost, "/api/agents", adminToken, map[string]any{"id": id, "name": id})
	if a.status != http.StatusCreated {
		n.t.Fatalf("enrol %s: %d %s", id, a.status, a.body)
	}
	var enrolled openapi.EnrolledAgent
	a.decode(n.t, &enrolled)
	return enrolled.Token
}

// deploy creates a deployment for the agent and returns its id.
func (n *node) deploy(agent string) string {
	n.t.Helper()
	a := n.do(http.MethodPost, "/api/deployments", adminToken,
		map[string]any{"agent_ids": []string{agent}, "name": "app", "spec": map[string]any{"v": 1}})
	if a.status != http.StatusCreated {
		n.t.Fatalf("deploy to %s: %d %s", agent, a.status, a.body)
	}
	var created openapi.CreatedDeployments
	a.decode(n.t, &created)
	return created.Deployments[0].ID
}

func (n *node) report(token, id, claim, status string) answer {
	n.t.Helper()
	return n.do(http.MethodPost, "/api/deployments/"+id+"/status", token,
		map[string]any{"attempt": 1, "claim": claim, "status": status})
}

func pendingPath(agent string) string { return "/api/deployments/pending/" + agent }

// pending polls and returns the ids of pending deployments.
func (n *node) pending(agent, token string, header ...string) (ids []string, a answer) {
	n.t.Helper()
	a = n.get(pendingPath(agent), token, header...)
	if a.status == http.StatusOK {
		var p openapi.PendingDeployments
		a.decode(n.t, &p)
		for _, d := range p.Deployments {
			ids = append(ids, d.ID)
		}
	}
	return ids, a
}

// scrape returns the replica's own metrics.
func (n *node) scrape() string {
	n.t.Helper()
	resp, err := n.client.Get(n.metrics)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}

// queries returns how often each query has run, from the replica's own metrics.
func (n *node) queries() map[string]float64 {
	n.t.Helper()
	counts := map[string]float64{}
	for line := range strings.Lines(n.scrape()) {
		var value float64
		rest, ok := strings.CutPrefix(line, `watchbill_db_query_duration_seconds_count{query="`)
		if !ok {
			continue
		}
		name, number, _ := strings.Cut(rest, `"} `)
		if _, err := fmt.Sscan(number, &value); err != nil {
			n.t.Fatalf("%s: %v", line, err)
		}
		counts[name] = value
	}
	return counts
}
