package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
)

// at returns a time on the day of the fake API's clock.
func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-01-15T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

func someAgents() []openapi.Agent {
	return []openapi.Agent{
		{
			ID: "edge-eu-017", Name: "Edge node 17, Frankfurt", Labels: openapi.Labels{"tier": "edge", "region": "eu"},
			State: openapi.AgentStateOnline, LastSeenAt: at("09:29:57"), PollIntervalSeconds: 10,
		},
		{ID: "new", Name: "a\x1b[31m\nb " + strings.Repeat("x", 80), State: openapi.AgentStateOffline, PollIntervalSeconds: 3600},
		{ID: "ulm", Name: "Ülm", State: openapi.AgentStateLate, LastSeenAt: at("09:00:00"), PollIntervalSeconds: 600},
	}
}

func TestAgentsList(t *testing.T) {
	t.Parallel()
	agents := someAgents()
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/agents": answers(
		jsonAnswer(200, openapi.AgentList{Agents: agents[:2], NextCursor: "c1"}),
		jsonAnswer(200, openapi.AgentList{NextCursor: "c2"}), // as when a filter matches nothing on a page
		jsonAnswer(200, openapi.AgentList{Agents: agents[2:]}),
	)})
	golden(t, "agents-list.golden", api.must(t, "agents", "list", "--label", "region in (eu, us),!old", "--state", "online"))
	want := []string{
		"GET /api/agents?state=online&label=region+in+%28eu%2C+us%29%2C%21old&limit=500",
		"GET /api/agents?state=online&label=region+in+%28eu%2C+us%29%2C%21old&limit=500&cursor=c1",
		"GET /api/agents?state=online&label=region+in+%28eu%2C+us%29%2C%21old&limit=500&cursor=c2",
	}
	if diff := cmp.Diff(want, api.lines()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAgentsListAsJSON(t *testing.T) {
	t.Parallel()
	agents := someAgents()
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/agents": jsonAnswer(200, openapi.AgentList{Agents: agents, NextCursor: "more"})})
	got := api.run(t.Context(), "agents", "list", "-o", "json", "--limit", "3")
	if want := "watchbill: there are more than 3; --limit shows more\n"; got.code != 0 || got.err != want {
		t.Errorf("want exit 0 and %q, got %d and %q", want, got.code, got.err)
	}
	var list openapi.AgentList
	if err := json.Unmarshal([]byte(got.out), &list); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(openapi.AgentList{Agents: agents}, list); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	none := newAPI(t, map[string]http.HandlerFunc{"GET /api/agents": jsonAnswer(200, openapi.AgentList{})})
	none.run(t.Context(), "agents", "list", "-o", "json").check(t, 0, "{\n  \"agents\": []\n}\n", "")
	none.run(t.Context(), "agents", "list").check(t, 0, "", "watchbill: no agents\n")
}

func TestAgentsEnrollAndRotate(t *testing.T) {
	t.Parallel()
	enrolled := openapi.EnrolledAgent{ID: "edge-1", Name: "Edge", Token: "wba_secret"}
	api := newAPI(t, map[string]http.HandlerFunc{
		"POST /api/agents":              jsonAnswer(201, enrolled),
		"POST /api/agents/edge-1/token": jsonAnswer(200, enrolled),
	})
	const table = "ID      TOKEN\nedge-1  wba_secret\n"
	const note = "watchbill: save this token; it won't be shown again\n"
	enroll := []string{"agents", "enroll", "--id", "edge-1", "--name", "Edge", "--label", "region=eu", "-l", "tier=edge", "--poll-interval", "1m"}
	api.run(t.Context(), enroll...).check(t, 0, table, note)
	api.with("ENROLLMENT_TOKEN", "the-enrollment-token").run(t.Context(), enroll...).check(t, 0, table, note)
	api.run(t.Context(), "agents", "rotate", "edge-1").check(t, 0, table, note)
	got := api.run(t.Context(), "agents", "rotate", "edge-1", "-o", "json")
	var rotated openapi.EnrolledAgent
	if err := json.Unmarshal([]byte(got.out), &rotated); err != nil || rotated.Token != enrolled.Token || got.err != "" {
		t.Errorf("want the token as JSON, got %v\n%s%s", err, got.out, got.err)
	}
	const body = `{"id":"edge-1","labels":{"region":"eu","tier":"edge"},"name":"Edge","poll_interval_seconds":60}`
	want := []request{
		{"POST /api/agents", "Bearer the-admin-token", "", body},
		{"POST /api/agents", "Bearer the-enrollment-token", "", body},
		{"POST /api/agents/edge-1/token", "Bearer the-admin-token", "", ""},
		{"POST /api/agents/edge-1/token", "Bearer the-admin-token", "", ""},
	}
	if diff := cmp.Diff(want, api.requests(), cmp.AllowUnexported(request{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestEach checks that every id is tried and each failure reported.
func TestEach(t *testing.T) {
	t.Parallel()
	gone := problem(404, `{"code":"not_found","detail":"there is none"}`)
	api := newAPI(t, map[string]http.HandlerFunc{
		"DELETE /api/agents/{id}": func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("id") == "gone" {
				gone(w, r)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		},
		"POST /api/deployments/" + deploymentID + "/cancel": jsonAnswer(200, openapi.Deployment{}),
		"POST /api/deployments/" + noDeployment + "/cancel": gone,
		"POST /api/deployment-groups/" + groupID + "/cancel": jsonAnswer(200, openapi.DeploymentGroup{
			Total: 3, Counts: openapi.StatusCounts{Succeeded: 1, Cancelled: 2},
		}),
	})
	api.run(t.Context(), "agents", "delete", "a", "gone", "b").
		check(t, exitFailed, "a deleted\nb deleted\n", "watchbill: gone: 404 not_found: there is none\n")
	api.run(t.Context(), "deployments", "cancel", noDeployment, deploymentID).
		check(t, exitFailed, deploymentID+" cancelled\n", "watchbill: "+noDeployment+": 404 not_found: there is none\n")
	api.run(t.Context(), "deployments", "cancel", "--group", groupID).check(t, 0, "3 deployments: 1 succeeded, 2 cancelled\n", "")

	calls := 0
	err := each([]string{"a", "b"}, func(string) error { calls++; return errInterrupted })
	if !errors.Is(err, errInterrupted) || calls != 1 {
		t.Errorf("interrupted: want that after 1 call, got %v after %d", err, calls)
	}
}

func someDeployments() []openapi.Deployment {
	half, output := 42.4, "line one\nline two"
	return []openapi.Deployment{
		{
			ID: deploymentID, AgentID: "edge-eu-017", GroupID: groupID, Name: "app 1.4.2", Status: openapi.DeploymentStatusRunning,
			Attempt: 2, MaxAttempts: 3, LeaseSeconds: 300, Progress: &half, Message: "pulling image",
			CreatedAt: at("09:20:00"), StartedAt: at("09:29:10"), LeaseExpiresAt: at("09:34:10"), AvailableAt: at("09:29:00"),
			Spec: json.RawMessage(`{"image":"registry.example/app:1.4.2"}`), Output: output,
			Attempts: []openapi.DeploymentAttempt{
				{Attempt: 1, Status: openapi.DeploymentStatusFailed, Message: "exit status 1", StartedAt: at("09:20:01"), FinishedAt: at("09:20:20")},
				{Attempt: 2, Status: openapi.DeploymentStatusRunning, StartedAt: at("09:29:10")},
			},
		},
		{
			ID: noDeployment, AgentID: "a", GroupID: groupID, Name: "cleanup", Status: openapi.DeploymentStatusTimedOut,
			Attempt: 1, MaxAttempts: 1, CreatedAt: at("04:00:00"), Message: "lease ran out",
		},
	}
}

func TestDeploymentsList(t *testing.T) {
	t.Parallel()
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/deployments": jsonAnswer(200, openapi.DeploymentList{Deployments: someDeployments()})})
	golden(t, "deployments-list.golden", api.must(t, "deployments", "list", "--agent", "a", "--status", "timeout", "--limit", "7"))
	if got, want := api.lines()[0], "GET /api/deployments?agent_id=a&status=timed_out&limit=7"; got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}

func TestDeploymentsGet(t *testing.T) {
	t.Parallel()
	pending := someDeployments()[1]
	pending.Status, pending.AvailableAt = openapi.DeploymentStatusPending, at("09:31:00")
	api := newAPI(t, map[string]http.HandlerFunc{
		"GET /api/deployments/" + deploymentID: jsonAnswer(200, someDeployments()[0]),
		"GET /api/deployments/" + noDeployment: jsonAnswer(200, pending),
	})
	golden(t, "deployment-running.golden", api.must(t, "deployments", "get", deploymentID))
	golden(t, "deployment-pending.golden", api.must(t, "deployments", "get", noDeployment))
	golden(t, "deployment-json.golden", api.must(t, "deployments", "get", deploymentID, "-o", "json"))
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "spec.json")
	if err := os.WriteFile(file, []byte("\n{\"from\": \"file\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, key, body string
	}{
		{`--agent|a,b|--agent|c|--spec|{"a": 1}`, "", `{"agent_ids":["a","b","c"],"lease_seconds":300,"max_attempts":3,"name":"app","spec":{"a":1}}`},
		{
			"--selector|region=eu|--spec|" + file + "|--lease|90s|--max-attempts|1|--idempotency-key|k", "k",
			`{"lease_seconds":90,"max_attempts":1,"name":"app","selector":"region=eu","spec":{"from":"file"}}`,
		},
		{"--agent|a|--spec|-", "", `{"agent_ids":["a"],"lease_seconds":300,"max_attempts":3,"name":"app","spec":{"from":"stdin"}}`},
	} {
		api := newAPI(t, map[string]http.HandlerFunc{"POST /api/deployments": jsonAnswer(201, openapi.CreatedDeployments{GroupID: groupID})})
		api.stdin = `{"from":"stdin"}`
		api.run(t.Context(), append([]string{"deploy", "--name", "app"}, strings.Split(test.args, "|")...)...).check(t, 0, "group "+groupID+"\n", "")
		want := []request{{"POST /api/deployments", "Bearer the-admin-token", test.key, test.body}}
		if diff := cmp.Diff(want, api.requests(), cmp.AllowUnexported(request{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.args, diff)
		}
	}
}

// TestDeployAfterLostResponse checks that a lost response is not reported as if nothing was created.
func TestDeployAfterLostResponse(t *testing.T) {
	t.Parallel()
	api := newAPI(t, map[string]http.HandlerFunc{"POST /api/deployments": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
	api.run(t.Context(), "deploy", "--name", "app", "--agent", "a", "--spec", "{}").check(t, exitFailed, "",
		"watchbill: cannot reach "+api.env["WATCHBILL_SERVER"]+": the connection was closed before the end of the response\n"+
			"watchbill: the deployments may have been created; repeat the command only if it had an --idempotency-key, otherwise check 'watchbill deployments list'\n")
}

func group(finished bool, counts openapi.StatusCounts) http.HandlerFunc {
	total := counts.Pending + counts.Running + counts.Succeeded + counts.Failed + counts.TimedOut + counts.Cancelled
	return jsonAnswer(200, openapi.DeploymentGroup{GroupID: groupID, Total: total, Counts: counts, Finished: finished})
}

func TestDeployAndWait(t *testing.T) {
	t.Parallel()
	deploy := []string{"deploy", "--name", "app", "--selector", "x", "--spec", "{}", "--wait"}
	created := jsonAnswer(201, openapi.CreatedDeployments{GroupID: groupID})
	away := problem(http.StatusServiceUnavailable, `{"code":"unavailable","detail":"away"}`)

	t.Run("all succeed, in spite of an outage", func(t *testing.T) {
		t.Parallel()
		api := newAPI(t, map[string]http.HandlerFunc{
			"POST /api/deployments": created,
			"GET /api/deployment-groups/" + groupID: answers(
				group(false, openapi.StatusCounts{Pending: 2, Running: 1}), away, away,
				group(true, openapi.StatusCounts{Succeeded: 3}),
			),
		})
		api.run(t.Context(), deploy...).check(t, 0, "group "+groupID+"\n", "3 deployments: 2 pending, 1 running\n"+
			"watchbill: 503 unavailable: away\nwatchbill: retrying for 2m …\n3 deployments: 3 succeeded\n")
	})
	t.Run("one does not", func(t *testing.T) {
		t.Parallel()
		api := newAPI(t, map[string]http.HandlerFunc{
			"POST /api/deployments":                 created,
			"GET /api/deployment-groups/" + groupID: group(true, openapi.StatusCounts{Succeeded: 1, Failed: 1, TimedOut: 1, Cancelled: 1}),
		})
		api.run(t.Context(), deploy...).check(t, exitFailed, "group "+groupID+"\n",
			"4 deployments: 1 succeeded, 1 failed, 1 timed out, 1 cancelled\nwatchbill: 3 of 4 did not succeed; see 'watchbill deployments list --group "+groupID+"'\n")
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, interrupt := context.WithCancel(t.Context())
		api := newAPI(t, map[string]http.HandlerFunc{
			"POST /api/deployments": created,
			"GET /api/deployment-groups/" + groupID: func(_ http.ResponseWriter, r *http.Request) {
				interrupt()
				<-r.Context().Done()
			},
		})
		api.run(ctx, deploy...).check(t, exitInterrupted, "group "+groupID+"\n",
			"watchbill: stopped waiting; 'watchbill deployments cancel --group "+groupID+"' cancels what is unfinished\n")
	})
}

// logPiece returns a handler that sends the part of a log from the requested offset.
func logPiece(piece string, complete bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var offset int
		_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &offset)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Watchbill-Next-Offset", fmt.Sprint(offset+len(piece)))
		w.Header().Set("Watchbill-Log-Complete", fmt.Sprint(complete))
		_, _ = io.WriteString(w, piece)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	const path = "/api/deployments/" + deploymentID + "/logs"
	backingOff := someDeployments()[0]
	backingOff.Attempts = backingOff.Attempts[:1] // the second is due, but has not run
	broken := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "8")
		logPiece("one\ntwo\n", false)(w, r)
	}
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "8")
		w.Header().Set("Watchbill-Next-Offset", "8")
		_, _ = io.WriteString(w, "one\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	away := problem(http.StatusServiceUnavailable, `{"code":"unavailable","detail":"away"}`)
	for _, test := range []struct {
		name   string
		args   []string
		pieces []http.HandlerFunc
		code   int
		out    string
		err    string
		asked  []string
	}{
		{
			"of an attempt that is over", nil,
			[]http.HandlerFunc{broken, logPiece("three\x1b[0m", true)},
			0, "one\ntwo\nthree\x1b[0m", "",
			[]string{"attempt=1&offset=0", "attempt=1&offset=8"},
		},
		{
			"of one that runs, as far as it is",
			[]string{"--attempt", "2"},
			[]http.HandlerFunc{logPiece("one\n", false), logPiece("", false)},
			0, "one\n", "",
			[]string{"attempt=2&offset=0", "attempt=2&offset=4"},
		},
		{
			"followed through an outage",
			[]string{"-f"},
			[]http.HandlerFunc{logPiece("", false), half, away, logPiece("two\n", false), logPiece("", true)},
			0, "one\ntwo\n", "watchbill: read the log: cannot reach $SERVER: the connection was closed before the end of the response\nwatchbill: retrying for 2m …\n",
			[]string{"attempt=1&offset=0", "attempt=1&offset=0", "attempt=1&offset=4", "attempt=1&offset=4", "attempt=1&offset=8"},
		},
		{
			"not followed, there is no patience", nil,
			[]http.HandlerFunc{away},
			exitFailed, "", "watchbill: 503 unavailable: away\n",
			[]string{"attempt=1&offset=0"},
		},
		{
			"that is none", nil,
			[]http.HandlerFunc{jsonAnswer(200, 1)},
			exitFailed, "", "watchbill: the response is not a Watchbill server's; check --server: it has no Watchbill-Next-Offset\n",
			[]string{"attempt=1&offset=0"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t, map[string]http.HandlerFunc{
				"GET /api/deployments/" + deploymentID: jsonAnswer(200, backingOff), "GET " + path: answers(test.pieces...),
			})
			wantErr := strings.ReplaceAll(test.err, "$SERVER", api.env["WATCHBILL_SERVER"])
			api.run(t.Context(), append([]string{"logs", deploymentID}, test.args...)...).check(t, test.code, test.out, wantErr)
			var asked []string
			for _, line := range api.lines() {
				if query, ok := strings.CutPrefix(line, "GET "+path+"?"); ok {
					asked = append(asked, query)
				}
			}
			if diff := cmp.Diff(test.asked, asked); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestLogsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	api := newAPI(t, map[string]http.HandlerFunc{
		"GET /api/deployments/" + deploymentID + "/logs": answers(logPiece("one\n", false), func(w http.ResponseWriter, r *http.Request) {
			interrupt()
			logPiece("", false)(w, r)
		}),
	})
	api.run(ctx, "logs", "-f", deploymentID, "--attempt", "1").check(t, exitInterrupted, "one\n", "")
}
