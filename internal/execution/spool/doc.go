// Package spool queues executions on disk until they are delivered, so that the outcome of a run is not lost when the
// process is killed or the database is unreachable.
//
// Reserve takes space for an execution before its run begins, Append writes its record with one system call when the run
// ends, and Run delivers records in order and removes them. A record survives the process once Append has returned,
// however the process ends; if the machine loses power, the last second may be lost.
//
// Several processes may share a directory. Each holds a slot, a subdirectory with a lock that the kernel releases when the
// process ends, and delivers the slots of dead processes too. A record is delivered twice if a process dies between the
// delivery and its mark; executions have keys, so the second is a duplicate.
//
// What an execution is, who may store one and where it is delivered is the caller's concern.
package spool
