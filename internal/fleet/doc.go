// Package fleet is the domain of the deployment API: agents, their deployments, and the state machine of a deployment.
//
// It is pure: it reads no clock, draws no random number and does no I/O; times, randomness and identifiers are parameters.
// How it is stored and served is the concern of internal/store/postgres and internal/server.
package fleet
