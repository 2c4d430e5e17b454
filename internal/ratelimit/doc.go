// Package ratelimit holds those who run agents and log executions to so many of them in a time: token buckets per user, per
// agent and per token, and for all together.
//
// A replica answers from its own memory. Every second it tells the others, through a Store, what it let pass, and hears what
// they did; docs/rate-limits.md says how far beyond a limit several replicas together can go meanwhile. The package knows no
// SQL and no HTTP.
package ratelimit
