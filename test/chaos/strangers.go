package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/test/rig"
)

// strangers sends requests without a valid token while a fleet polls, and compares the report and the inputs of
// Prometheus' rules with those of a fleet without such requests.
var strangers = experiment{
	name:  "strangers",
	what:  "40 connections that poll with unknown tokens, and some that read the metrics and probe, beside 1,000 agents",
	quick: true,
	alone: func(ctx context.Context, t *trial) error {
		if err := t.compareUnknownCallers(ctx, t.binary, ""); err != nil || t.quick {
			return err
		}
		before := filepath.Join(t.dir, "watchbill-"+rig.BaselineCommit)
		return t.compareUnknownCallers(ctx, before, "_before")
	},
}

const (
	honestAgents  = 1000 // that poll every ten seconds, as requested by the server
	honestWorkers = 16
	floodPolls    = 40 // connections that poll with unknown tokens
)

// floods are the paths requested without a token, over one connection each, in addition to the polls.
var floods = []string{"/api/metrics?hours=168", "/api/metrics/pending-deployments?hours=100", "/readyz", "/nothing", "/api/agents"}

// compareUnknownCallers measures a program's fleet without and with the flood.
func (t *trial) compareUnknownCallers(ctx context.Context, binary, suffix string) error {
	alone, err := t.observe(ctx, binary, "alone"+suffix, false)
	if err != nil {
		return err
	}
	flooded, err := t.observe(ctx, binary, "flooded"+suffix, true)
	if err != nil {
		return err
	}
	moved := flooded.movedFrom(alone)
	for _, one := range moved {
		t.logf("%s%s: moved: %s", t.name, suffix, one)
	}
	t.logf("%s%s: %d requests of strangers; honest polls took %.1f ms (p99) beside them and %.1f alone", t.name, suffix,
		flooded.sent, flooded.polls.Quantile(0.99)*1e3, alone.polls.Quantile(0.99)*1e3)
	t.found = append(t.found,
		figure{name: "stranger_verdict_shift" + suffix, value: float64(len(moved)), unit: "objectives", exact: suffix == ""},
		figure{name: "honest_poll_p99_ratio" + suffix, value: flooded.polls.Quantile(0.99) / alone.polls.Quantile(0.99), unit: "x"})
	return nil
}

// observation holds the results of a fleet's polls and the server's figures of them.
type observation struct {
	polls  *rig.Result
	sent   int64 // requests without a valid token
	series map[string]float64
	report report.Document
	health float64 // error rate of /api/health
	after  time.Duration
}

// observe runs a replica and its fleet for a while, and reads a report after restarting it: then its measurements are
// in the database, and the probes of two starts and a shutdown are included.
func (t *trial) observe(ctx context.Context, binary, name string, flood bool) (o observation, err error) {
	dir := filepath.Join(t.dir, t.name+"-"+name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return o, err
	}
	url, err := t.databaseNamed(ctx, "chaos_"+t.name+"_"+name)
	if err != nil {
		return o, err
	}
	start := func() (*rig.Server, error) {
		return rig.Serve(ctx, rig.ServeOptions{Binary: binary, DatabaseURL: url, Dir: dir, Name: name})
	}
	server, err := start()
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := rig.SeedAgents(ctx, url, 0, honestAgents); err != nil {
		return o, err
	}
	if err := awaitAgent(ctx, server); err != nil {
		return o, err
	}
	for range 20 { // like a kubelet while a Pod starts and ends; the failed ones matter here
		if _, _, err := send(ctx, http.DefaultClient, http.MethodGet, server.URL+"/readyz", "", nil, nil); err != nil {
			return o, err
		}
	}
	began := time.Now()
	if err := o.poll(ctx, server, time.Duration(t.repeat(20, 3))*time.Second, flood); err != nil {
		return o, err
	}
	o.after = time.Since(began)
	if o.series, err = server.Metrics(ctx); err != nil {
		return o, err
	}
	if err := server.Close(); err != nil {
		return o, err
	}
	if server, err = start(); err != nil {
		return o, err
	}
	return o, o.ask(ctx, server)
}

// databaseNamed returns a new database on the server that trials share.
func (t *trial) databaseNamed(ctx context.Context, name string) (url string, err error) {
	if t.postgres == nil {
		t.postgres, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(t.dir, "postgres")})
		if err != nil {
			return "", err
		}
	}
	return t.postgres.CreateDatabase(ctx, name)
}

// awaitAgent waits until the replica knows the seeded agents. Its last poll is the first that counts.
func awaitAgent(ctx context.Context, server *rig.Server) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	last := honestAgents - 1
	for {
		status, _, err := send(ctx, http.DefaultClient, http.MethodGet, server.URL+"/api/deployments/pending/"+rig.AgentID(last), rig.AgentToken(last), nil, nil)
		if err != nil || status == http.StatusOK {
			return err
		}
	}
}

// poll has the agents poll for a while, each every ten seconds.
func (o *observation) poll(ctx context.Context, server *rig.Server, d time.Duration, flood bool) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var flooding sync.WaitGroup
	var sent atomic.Int64
	if flood {
		for i := range floodPolls {
			header := fmt.Sprintf("Authorization: Bearer wba_unknown%037d\r\n", i)
			flooding.Go(func() { repeatRequest(ctx, server.Address, "/api/deployments/pending/"+rig.AgentID(i), header, &sent) })
		}
		for _, path := range floods {
			flooding.Go(func() { repeatRequest(ctx, server.Address, path, "", &sent) })
		}
	}
	conns := make([]*rig.Conn, honestWorkers)
	for i := range conns {
		conn, err := rig.Dial(ctx, server.Address)
		if err != nil {
			return err
		}
		defer conn.Close()
		conns[i] = conn
	}
	o.polls = rig.OpenLoop(ctx, honestAgents/10, honestWorkers, func(_ context.Context, worker int, n int64) error {
		agent := int(n % honestAgents)
		header := "Authorization: Bearer " + rig.AgentToken(agent) + "\r\n"
		response, err := conns[worker].Do(rig.Request(http.MethodGet, "/api/deployments/pending/"+rig.AgentID(agent), server.Address, header, nil))
		if err == nil && response.Status != http.StatusOK {
			err = fmt.Errorf("answered %d", response.Status)
		}
		return err
	})
	flooding.Wait()
	o.sent = sent.Load()
	return o.polls.First
}

// pause is the time between the requests of one connection that have immediate responses, so that the flood does not
// just use up the CPU.
const requestGap = 20 * time.Millisecond

func repeatRequest(ctx context.Context, address, path, header string, sent *atomic.Int64) {
	request := rig.Request(http.MethodGet, path, address, header, nil)
	for ctx.Err() == nil {
		conn, err := rig.Dial(ctx, address)
		if err != nil {
			continue
		}
		for err == nil && pause.For(ctx, requestGap) {
			var response rig.Response
			if response, err = conn.Do(request); err == nil {
				sent.Add(1)
			}
			if response.Closes {
				break
			}
		}
		_ = conn.Close() // it is not needed any more
	}
}

// ask reads the report of the whole time, and the health of a replica that was just started.
func (o *observation) ask(ctx context.Context, server *rig.Server) error {
	status, response, err := send(ctx, http.DefaultClient, http.MethodGet, server.URL+"/api/health", "", nil, nil)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("health: %d %.300s: %w", status, response, err)
	}
	var health struct {
		Requests struct {
			ErrorRate float64 `json:"error_rate"`
		} `json:"requests"`
	}
	if err := json.Unmarshal(response, &health); err != nil {
		return err
	}
	o.health = health.Requests.ErrorRate
	status, response, err = send(ctx, http.DefaultClient, http.MethodPost, server.URL+"/api/reports", rig.AdminToken, nil, map[string]any{
		"hours": 1, "compare_with": "None", "sections": []report.Section{report.SectionSummary, report.SectionPendingDeployments, report.SectionQueries},
	})
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("report: %d %.300s: %w", status, response, err)
	}
	return json.Unmarshal(response, &o.report)
}

// movedFrom returns the objectives with another verdict or other events than those of a fleet without a flood, or than
// the agents' requests. The number of request events is known; queries also depend on time, so their rate is compared.
func (o *observation) movedFrom(alone observation) (moved []string) {
	honest := o.polls.Count + 1 // one of awaitAgent
	polls, all := o.report.Sections.PendingDeployments.Requests, o.report.Sections.Summary.Requests
	pollSeries := o.sum("watchbill_http_request_duration_seconds_count", `route="`+report.PendingRoute+`"`)
	allSeries := o.sum("watchbill_http_requests_total", "")
	for i, result := range o.report.Objectives {
		was := alone.report.Objectives[i]
		why := ""
		switch {
		case metOf(result.Met) != metOf(was.Met):
			why = fmt.Sprintf("met is %s, alone %s", metOf(result.Met), metOf(was.Met))
		case (result.Kind == "latency" || result.Kind == "pollRate") && (polls != honest || pollSeries != float64(honest)):
			why = fmt.Sprintf("the report counts %d polls and Prometheus %.0f, of %d honest ones", polls, pollSeries, honest)
		case result.Kind == "errorRate" && (all != honest || allSeries != float64(honest) || o.health != 0):
			why = fmt.Sprintf("the report counts %d answers and Prometheus %.0f, of %d to known callers; health's error rate is %.2f", all, allSeries, honest, o.health)
		case result.Kind == "queryTime" && o.queryRate() > 1.5*alone.queryRate():
			why = fmt.Sprintf("%.1f queries a second count, alone %.1f", o.queryRate(), alone.queryRate())
		}
		if why != "" {
			moved = append(moved, result.Name+": "+why)
		}
	}
	return moved
}

func metOf(met *bool) string {
	if met == nil {
		return "not known"
	}
	return fmt.Sprint(*met)
}

func (o *observation) queryRate() float64 {
	return o.sum("watchbill_db_query_duration_seconds_count", "") / o.after.Seconds()
}

// sum adds up the series of a name that have a label.
func (o *observation) sum(name, label string) (n float64) {
	for series, value := range o.series {
		if strings.HasPrefix(series, name+"{") && strings.Contains(series, label) {
			n += value
		}
	}
	return n
}
