// Package agent is the reference polling agent: it asks the server for work, claims it, runs it, streams its output and
// reports how it went. It is also the example to read for those who write an agent of their own.
//
// # What a command is given
//
// [Shell] runs a command by "sh -c", in a process group of its own, for each attempt:
//
//   - standard input is the deployment as the server sent it, a JSON object with id, name, spec, attempt, created_at
//     and lease_seconds;
//   - WATCHBILL_DEPLOYMENT_ID, WATCHBILL_DEPLOYMENT_NAME and WATCHBILL_ATTEMPT are in its environment, the service's
//     tokens are not;
//   - what it writes to standard output and error becomes the attempt's log, and the end of that the attempt's output;
//   - a line "::progress 42" or "::progress 42 pulling image" sets the progress (per cent) and the message;
//   - exit status 0 is success; 78 (EX_CONFIG of sysexits.h) a failure that another attempt would not mend; any
//     other, and death by a signal, a failure that may be tried again.
//
// When the deployment is cancelled, the lease is lost, or the agent must stop, the group is sent SIGTERM and, after a
// grace, SIGKILL. What is still in the group when the command has ended is killed too.
//
// # What an agent owes the server
//
// It polls when the server says, backs off when it fails, and never runs what it could not claim. While a command runs
// its lease is renewed at a third of its length. A renewal that is refused means that the attempt is no longer ours,
// and ends the command. One that merely fails does not: while the server is away work goes on, and the fence on attempt
// and claim sorts out the rest when it is back.
//
// The package knows nothing of how the server works inside. Only [Shell] starts processes.
package agent
