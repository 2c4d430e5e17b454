// Package gateway runs AI agents: it selects an agent for a prompt, streams its output to the client, and records the
// outcome of every run.
//
// Agents are configured in a file that is reloaded when it changes. There are three kinds: openai calls a server with
// OpenAI's chat completions API, http posts the prompt to a custom service, and echo repeats the prompt.
//
// Space for the record is reserved before a run begins, and the record is written before its last event is sent. Neither
// waits for the database. A run that cannot be recorded is not started. The Recorder decides where records are stored.
package gateway
