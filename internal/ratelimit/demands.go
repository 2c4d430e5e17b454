package ratelimit

import "github.com/watchbill/watchbill/internal/execution"

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
