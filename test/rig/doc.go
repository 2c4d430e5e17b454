// Package rig has the real things that benchmarks measure and faults are made in: PostgreSQL, `watchbill serve`, the network
// between them, and load. All of it is on loopback, and ends with its owner.
package rig
