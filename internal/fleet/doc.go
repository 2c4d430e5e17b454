// Package fleet is the domain of the deployment API: agents, the deployments they are given, and the state machine
// that both obey.
//
// It is pure: values in, values out. It reads no clock, draws no random number and does no I/O; times, randomness
// and identifiers come in as parameters. What is stored and sent lives in the adapters.
package fleet
