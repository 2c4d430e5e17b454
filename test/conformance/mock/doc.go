// Package mock imitates the APIs of model providers with known token counts, and records what really happened: the
// number of calls, their usage and their cost.
package mock
