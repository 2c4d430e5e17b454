package server

import (
	"net/http"
	"sync"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
)

// budget limits how many bytes are held in memory at a time: in total, and by share. It is safe for concurrent use.
type budget struct {
	total int64

	mu     sync.Mutex
	used   int64
	shares map[share]int64 // only those that use some
}

// share is a part of a budget that one caller, or all callers of a kind, may not exceed, so that none of them can take
// what the others need.
type share struct {
	kind  audience
	agent string // or the enrolment token's fingerprint; empty: all of the kind together
}

// audience is a kind of caller.
type audience uint8

const (
	audienceOther  audience = iota // administrators, and routes that are open to all
	audienceAgent                  // agents
	audienceEnrol                  // the enrolment token
	audienceIngest                 // the ingest token
	audienceReport                 // Kubernetes ServiceAccounts
)

// What is held at a time unless Options say otherwise.
const (
	DefaultBodyMemory   int64 = 256 << 20
	DefaultAnswerMemory int64 = 64 << 20
)

func orDefault(bytes, otherwise int64) int64 {
	if bytes == 0 {
		return otherwise
	}
	return bytes
}

// What callers may use of a budget.
const (
	maxAgentShare = 4 << 20  // bytes of one agent
	maxEnrolShare = 16 << 20 // bytes of all who enrol
)

func newBudget(bytes int64) *budget { return &budget{total: bytes, shares: map[share]int64{}} }

var (
	errBusy = newProblem(http.StatusServiceUnavailable, "busy", "", "too much is being transferred at once; try again later")
	// errShareUsed is the caller's own doing, and no failure of the service.
	errShareUsed = newProblem(http.StatusTooManyRequests, "busy", "",
		"too much of yours is being transferred at once; finish what is under way, then try again")
)

// limit returns how much of the budget the callers of a kind may use together. Some is always left for the others.
func (b *budget) limit(kind audience) int64 {
	switch kind {
	case audienceAgent:
		return b.total / 2
	case audienceEnrol:
		return min(b.total/8, maxEnrolShare)
	case audienceIngest:
		return b.total / 4 * 3
	case audienceReport:
		return b.total / 4
	default:
		return b.total
	}
}

// own returns how much of the budget one caller of a kind may use.
func (b *budget) own(kind audience) int64 {
	if kind == audienceEnrol {
		return b.limit(kind) / 2
	}
	return min(maxAgentShare, b.total/2)
}

// take takes n bytes for the caller, all of them or none. It returns the problem to answer with if there are not enough.
func (b *budget) take(who share, n int64) *openapi.Problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	if who.agent != "" && b.shares[who]+n > b.own(who.kind) {
		return errShareUsed
	}
	all := share{kind: who.kind}
	if b.used+n > b.total || b.shares[all]+n > b.limit(who.kind) {
		return errBusy
	}
	b.used += n
	b.shares[all] += n
	if who.agent != "" {
		b.shares[who] += n
	}
	return nil
}

// give gives back n bytes that were taken.
func (b *budget) give(who share, n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.reduce(share{kind: who.kind}, n)
	if who.agent != "" {
		b.reduce(who, n)
	}
}

func (b *budget) reduce(who share, n int64) {
	if b.shares[who] -= n; b.shares[who] == 0 {
		delete(b.shares, who)
	}
}

// share returns whose part of a budget the request uses.
func (x *exchange) share() share {
	switch {
	case x.caller.agent.ID() != "":
		return share{audienceAgent, x.caller.agent.ID()}
	case x.caller.grant != nil:
		return share{audienceEnrol, x.caller.grant.Fingerprint()}
	case x.caller.ingest != (fleet.TokenHash{}):
		return share{kind: audienceIngest}
	case x.caller.account != nil:
		return share{kind: audienceReport}
	default:
		return share{kind: audienceOther}
	}
}
