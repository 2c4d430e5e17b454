// Package spool keeps executions on disk until they are delivered, so that what a run came to is not lost when the
// process is killed or the database is away.
//
// Room for an execution is taken before its run begins (Reserve), its record is written with one system call when the run
// is over (Append), and Run delivers what waits, in order, and forgets it. What a call of Append has returned for survives
// the process, however it dies; a machine that loses power may lose the last second.
//
// Several processes may share a folder. Each holds a slot of its own, a folder with a lock that the kernel lets go when its
// holder dies, and delivers what dead processes left in theirs. A record may be delivered more than once, if a process
// dies between its delivery and the note of it; executions have keys, so that changes nothing.
//
// What an execution is, who may store one and where it is delivered is no matter of this package.
package spool
