package mailbox

import "github.com/watchbill/watchbill/internal/fleet"

// Lookup returns the agent whose token has the hash, if the mailbox knows one. Unlike Authenticate it never waits.
func (m *Mailbox) Lookup(hash fleet.TokenHash) (Agent, bool) { return m.agents.authenticate(hash) }
