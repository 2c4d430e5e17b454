// Package gateway runs AI agents: it picks one for a prompt, relays what the agent says while it says it, and records how
// the run ended, whatever the end.
//
// Agents are described in a file, which may change while they run. There are three kinds: openai speaks to any server
// with OpenAI's chat completions, http posts the prompt to a service of one's own, and echo repeats what it is told.
//
// Room for the record is taken before a run begins, and the record is written before its last event is sent: neither waits
// for a database, and a run that could not be recorded does not begin. Where records go is for the Recorder.
package gateway
