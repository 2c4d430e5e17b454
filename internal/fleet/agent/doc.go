// Package agent is the reference agent: it polls the server for deployments, claims and runs them, streams their output
// and reports their outcome. It is also an example for writing other agents.
//
// # The command's environment
//
// [Shell] runs a command with "sh -c", in its own process group, for each attempt:
//
//   - standard input is the deployment as the server sent it, a JSON object with id, name, spec, attempt, created_at
//     and lease_seconds;
//   - WATCHBILL_DEPLOYMENT_ID, WATCHBILL_DEPLOYMENT_NAME and WATCHBILL_ATTEMPT are set in its environment; the service's
//     tokens are not;
//   - its standard output and error become the attempt's log, and the end of the log the attempt's output;
//   - a line "::progress 42" or "::progress 42 pulling image" sets the progress (per cent) and the message;
//   - exit status 0 is success; 78 (EX_CONFIG of sysexits.h) is a permanent failure; any other status, or death by a
//     signal, is a failure that is retried.
//
// When the deployment is cancelled, the lease is lost, or the agent must stop, the process group is sent SIGTERM and, after
// a grace period, SIGKILL. Processes left in the group when the command exits are killed too.
//
// # Obligations of an agent
//
// It polls at the interval that the server sets, backs off on errors, and runs nothing that it could not claim. While a
// command runs the agent renews its lease every third of the lease's length. A rejected renewal means that the attempt
// belongs to someone else, and ends the command. A renewal that fails for another reason does not: while the server is
// unreachable work continues, and the server compares attempt and claim when it is reachable again.
//
// The package depends only on the protocol. Only [Shell] starts processes.
package agent
