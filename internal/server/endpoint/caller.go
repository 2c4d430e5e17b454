package endpoint

import (
	"encoding/hex"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/session"
)

// Caller identifies the sender of a request. It is the zero value for an anonymous caller of an open route and for a
// rejected one.
type Caller struct {
	Admin  bool
	Agent  mailbox.Agent   // zero if the caller is not an agent
	Ingest fleet.TokenHash // an ingester's token
	// Grant is the grant of an enroller's token. It is nil for an admin, to whom no grant applies.
	Grant *fleet.Grant
	// Account is set for a ServiceAccount. Its permission to read is not checked yet.
	Account *ServiceAccount
	// Session is set for an admin that has a session instead of a token.
	Session *session.Session
}

// ServiceAccount is the Kubernetes ServiceAccount that sent a request.
type ServiceAccount struct {
	Remote, Token   string
	Namespace, Name string
}

// String returns the account's name for logs.
func (a *ServiceAccount) String() string { return a.Namespace + "/" + a.Name }

// actor returns the caller as named in the security log. It contains nothing of a token except the beginning of its
// hash.
func (c Caller) actor() logging.Actor {
	none := fleet.TokenHash{}
	fingerprint := func(hash fleet.TokenHash) string { return hex.EncodeToString(hash[:8]) }
	switch {
	case c.Session != nil:
		return logging.Actor{Kind: "session", ID: c.Session.Fingerprint()}
	case c.Admin:
		return logging.Actor{Kind: "admin"}
	case c.Agent.ID() != "":
		return logging.Actor{Kind: "agent", ID: c.Agent.ID()}
	case c.Account != nil:
		return logging.Actor{Kind: "service_account", ID: c.Account.String()}
	case c.Grant != nil:
		return logging.Actor{Kind: "enrollment", ID: c.Grant.Fingerprint()}
	case c.Ingest != none:
		return logging.Actor{Kind: "ingest", ID: fingerprint(c.Ingest)}
	}
	return logging.Actor{Kind: "none"}
}

// share returns the share of a budget that the request uses.
func (x *Exchange) share() share {
	switch {
	case x.Caller.Agent.ID() != "":
		return share{audienceAgent, x.Caller.Agent.ID()}
	case x.Caller.Grant != nil:
		return share{audienceEnrol, x.Caller.Grant.Fingerprint()}
	case x.Caller.Ingest != (fleet.TokenHash{}):
		return share{kind: audienceIngest}
	case x.Caller.Account != nil:
		return share{kind: audienceReport}
	default:
		return share{kind: audienceOther}
	}
}
