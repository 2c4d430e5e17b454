package agent_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet/agent"
)

// An agent that installs what deployments ask for, and stops after the first.
func Example() {
	server := newFakeServer()
	server.add("app", 5*time.Minute)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	install := func(_ context.Context, work agent.Work, out io.Writer) error {
		defer stop()
		_, err := fmt.Fprintln(out, "installing") // the deployment's log
		fmt.Printf("%s: %s\n", work.Name, work.Spec)
		return err
	}
	a, err := agent.New(agent.Config{
		Server: "http://watchbill.example", ID: agentID, Token: token,
		Runner:     agent.RunnerFunc(install),
		Drain:      time.Minute,
		HTTPClient: &http.Client{Transport: server},
		Logger:     zap.NewNop(), Now: time.Now, Jitter: func() float64 { return 0 }, NewClaim: uuid.NewString,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := a.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	// Output: deploy app: {"image":"app:1"}
}

// A failure that another attempt would not fix ends the deployment.
func ExamplePermanent() {
	install := func(_ context.Context, work agent.Work, _ io.Writer) error {
		if _, err := os.Stat("/nonexistent/" + work.Name); err != nil {
			return agent.Permanent(fmt.Errorf("unknown package %s", work.Name))
		}
		return nil
	}
	work := agent.Work{}
	work.Name = "app"
	fmt.Println(agent.RunnerFunc(install).Run(context.Background(), work, io.Discard))
	// Output: unknown package app
}
