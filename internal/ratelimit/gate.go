package ratelimit

import (
	"context"

	"github.com/watchbill/watchbill/internal/execution"
)

// Gate admits executions. Its error is a sentence for the client, which may retry later.
type Gate func([]execution.Execution) error

type gateKey struct{}

// WithGate returns a context with a gate, for the code that decodes executions and so first knows their number and users.
func WithGate(ctx context.Context, gate Gate) context.Context {
	return context.WithValue(ctx, gateKey{}, gate)
}

// Admit calls the gate in ctx. Without one it admits everything.
func Admit(ctx context.Context, executions []execution.Execution) error {
	if gate, ok := ctx.Value(gateKey{}).(Gate); ok {
		return gate(executions)
	}
	return nil
}

// DemandsOf returns the demands of executions sent with a token: one for each, by its user and agent.
func DemandsOf(token [32]byte, executions []execution.Execution) []Demand {
	type whose struct{ user, agent string }
	places := map[whose]int{}
	var demands []Demand
	for i := range executions {
		who := whose{executions[i].UserID, executions[i].AgentName}
		place, known := places[who]
		if !known {
			place = len(demands)
			places[who] = place
			demands = append(demands, Demand{Subject: Subject{User: who.user, Agent: who.agent, Token: token}})
		}
		demands[place].N++
	}
	return demands
}
