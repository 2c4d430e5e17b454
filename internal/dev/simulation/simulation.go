// Package simulation runs a small fleet for trying Watchbill out: agents that poll and simulate work, occasional
// deployments for them, and executions of AI agents. It uses the API as any client would.
package simulation

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet/agent"
	"github.com/watchbill/watchbill/internal/pause"
)

// Options are the options of a simulation.
type Options struct {
	Server     string // base URL of the API
	AdminToken string
	Agents     int
	Every      time.Duration // between deployments

	IngestToken  string
	ExecuteEvery time.Duration // between executions of AI agents

	Log *zap.Logger
	Now func() time.Time
}

// Fleet is a simulated fleet.
type Fleet struct {
	opts   Options
	admin  *openapi.ClientWithResponses
	agents []*agent.Agent
}

var regions = []string{"eu", "us", "ap"}

// Enroll enrolls the fleet's agents. Those enrolled by an earlier run get new tokens.
func Enroll(ctx context.Context, opts Options) (*Fleet, error) {
	admin, err := openapi.NewClientWithResponses(opts.Server,
		openapi.WithHTTPClient(&http.Client{Timeout: 15 * time.Second}),
		openapi.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+opts.AdminToken)
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("make the fleet's client: %w", err)
	}
	f := &Fleet{opts: opts, admin: admin}
	for i := range opts.Agents {
		id, name, labels := Identity(i)
		token, err := f.enroll(ctx, id, name, labels)
		if err != nil {
			return nil, fmt.Errorf("enrol %s: %w", id, err)
		}
		one, err := agent.New(agent.Config{
			Server: opts.Server, ID: id, Token: token, Runner: agent.RunnerFunc(pretend),
			Logger: opts.Log, Now: opts.Now, Jitter: mathrand.Float64, NewClaim: rand.Text,
			UserAgent: "watchbill-simulation",
		})
		if err != nil {
			return nil, err
		}
		f.agents = append(f.agents, one)
	}
	return f, nil
}

// Version is the version that simulated agents report.
const Version = "simulation"

// Identity returns the id, name and labels of the i-th agent of a fleet.
func Identity(i int) (id, name string, labels map[string]string) {
	id = fmt.Sprintf("agent-%02d", i+1)
	return id, "Simulated " + id, map[string]string{"region": regions[i%len(regions)], "simulated": "true"}
}

func (f *Fleet) enroll(ctx context.Context, id, name string, labels openapi.Labels) (token string, err error) {
	enrolled, err := f.admin.EnrollAgentWithResponse(ctx, openapi.EnrollAgentRequest{ID: id, Name: name, Labels: labels, Version: Version})
	if err != nil {
		return "", err
	}
	if enrolled.JSON201 != nil {
		return enrolled.JSON201.Token, nil
	}
	if enrolled.HTTPResponse.StatusCode != http.StatusConflict {
		return "", fmt.Errorf("the server responded with %s", enrolled.HTTPResponse.Status)
	}
	rotated, err := f.admin.RotateAgentTokenWithResponse(ctx, id)
	if err != nil {
		return "", err
	}
	if rotated.JSON200 == nil {
		return "", fmt.Errorf("the server responded with %s", rotated.HTTPResponse.Status)
	}
	return rotated.JSON200.Token, nil
}

// Run runs the fleet until ctx is done. The agents start spread over one of their intervals, as real ones do.
func (f *Fleet) Run(ctx context.Context) error {
	var g errgroup.Group
	for i, one := range f.agents {
		g.Go(func() error {
			if !pause.For(ctx, time.Duration(i)*10*time.Second/time.Duration(len(f.agents))) {
				return nil
			}
			return one.Run(ctx)
		})
	}
	g.Go(func() error { f.trickle(ctx); return nil })
	g.Go(func() error {
		client := &http.Client{Timeout: time.Minute}
		defer client.CloseIdleConnections()
		a := &assistants{server: f.opts.Server, token: f.opts.IngestToken, client: client, now: f.opts.Now, log: f.opts.Log}
		a.run(ctx, f.opts.ExecuteEvery)
		return nil
	})
	return g.Wait()
}

// trickle creates a deployment from time to time: mostly for one agent, sometimes for a region.
func (f *Fleet) trickle(ctx context.Context) {
	for n := 1; pause.For(ctx, f.opts.Every); n++ {
		order := openapi.CreateDeploymentsRequest{
			Name: fmt.Sprintf("app 1.%d", n), Spec: json.RawMessage(fmt.Sprintf(`{"image":"registry.example/app:1.%d"}`, n)),
		}
		if n%5 == 0 {
			order.Selector = "simulated=true,region=" + regions[mathrand.N(len(regions))]
		} else {
			order.AgentIDs = []openapi.AgentID{fmt.Sprintf("agent-%02d", 1+mathrand.N(len(f.agents)))}
		}
		key := uuid.NewString()
		created, err := f.admin.CreateDeploymentsWithResponse(ctx, &openapi.CreateDeploymentsParams{IdempotencyKey: &key}, order)
		if err == nil && created.JSON201 == nil {
			err = fmt.Errorf("the server responded with %s", created.HTTPResponse.Status)
		}
		if err != nil && ctx.Err() == nil {
			f.opts.Log.Warn("cannot deploy", zap.Error(err))
		}
	}
}

var errSimulated = errors.New("simulated failure: the disk is full")

// pretend simulates work for a few seconds, prints its progress, and sometimes fails.
func pretend(ctx context.Context, work agent.Work, out io.Writer) error {
	steps := 4 + mathrand.N(6)
	say := func(format string, args ...any) {
		_, _ = fmt.Fprintf(out, format+"\n", args...) // an agent's output never fails
	}
	say("deploying %s, attempt %d", work.Name, work.Attempt)
	for i := range steps {
		if !pause.For(ctx, 200*time.Millisecond+mathrand.N(400*time.Millisecond)) {
			return ctx.Err()
		}
		say("::progress %d", (i+1)*100/steps)
	}
	if mathrand.N(20) == 0 {
		return errSimulated
	}
	say("done")
	return nil
}
