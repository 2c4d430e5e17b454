package ratelimit

import (
	"context"

	"github.com/watchbill/watchbill/internal/execution"
)

// Gate lets executions in. Its error is a sentence for whoever sent them; they may come again later.
type Gate func([]execution.Execution) error

type gateKey struct{}

// WithGate hands a gate down to whoever reads the executions off the wire, and so knows first how many they are and whose.
func WithGate(ctx context.Context, gate Gate) context.Context {
	return context.WithValue(ctx, gateKey{}, gate)
}

// Admit asks the gate that ctx brings; without one everything is let in.
func Admit(ctx context.Context, executions []execution.Execution) error {
	if gate, ok := ctx.Value(gateKey{}).(Gate); ok {
		return gate(executions)
	}
	return nil
}

// DemandsOf is what executions that came with a token ask for: one each, of their user and agent.
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
