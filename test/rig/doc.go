// Package rig starts the real components for benchmarks and fault tests: PostgreSQL, `watchbill serve`, proxies between
// them, and load. All of it uses loopback only, and ends with its owner.
package rig
