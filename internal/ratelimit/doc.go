// Package ratelimit limits how often callers run agents and log executions: token buckets per user, per agent and per
// token, and for all callers together.
//
// A replica decides from its own memory. Every second it exchanges through a Store what it and the other replicas
// admitted; docs/rate-limits.md describes by how much several replicas together can exceed a limit. The package knows
// no SQL and no HTTP.
package ratelimit
