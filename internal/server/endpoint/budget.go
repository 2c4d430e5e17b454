package endpoint

import (
	"net/http"
	"sync"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Budget limits the number of bytes held in memory at a time, in total and by share. It is safe for concurrent use.
type Budget struct {
	total int64

	mu     sync.Mutex
	used   int64
	shares map[share]int64 // bytes in use by share; without zeros
}

// share identifies the part of a budget that one caller, or all callers of a kind, may use, so that none can exhaust
// the budget for the others.
type share struct {
	kind  audience
	agent string // agent id or enrollment token's fingerprint; if empty, all callers of the kind together
}

// audience is a kind of caller.
type audience uint8

const (
	audienceOther  audience = iota // administrators, and callers of open routes
	audienceAgent                  // agents
	audienceEnrol                  // the enrollment token
	audienceIngest                 // the ingest token
	audienceReport                 // Kubernetes ServiceAccounts
)

// Limits of the shares of a budget.
const (
	maxAgentShare = 4 << 20  // bytes of one agent
	maxEnrolShare = 16 << 20 // bytes of all enrollments together
)

// NewBudget returns a budget of a number of bytes.
func NewBudget(bytes int64) *Budget { return &Budget{total: bytes, shares: map[share]int64{}} }

var (
	errBusy = problem.New(http.StatusServiceUnavailable, "busy", "", "too much is being transferred at once; try again later")
	// errShareUsed is returned when the caller's own requests use up its share. It is the caller's fault, hence a 429.
	errShareUsed = problem.New(http.StatusTooManyRequests, "busy", "",
		"you are transferring too much at once; finish the transfers in progress, then try again")
)

// limit returns how many bytes of the budget all callers of a kind may use together.
func (b *Budget) limit(kind audience) int64 {
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

// own returns how many bytes of the budget one caller of a kind may use.
func (b *Budget) own(kind audience) int64 {
	if kind == audienceEnrol {
		return b.limit(kind) / 2
	}
	return min(maxAgentShare, b.total/2)
}

// take takes n bytes for the caller, all of them or none. If too few are left it returns the problem to respond with.
func (b *Budget) take(who share, n int64) *openapi.Problem {
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

// give returns n bytes to the budget.
func (b *Budget) give(who share, n int64) {
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

func (b *Budget) reduce(who share, n int64) {
	if b.shares[who] -= n; b.shares[who] == 0 {
		delete(b.shares, who)
	}
}

// InUse returns the number of bytes taken.
func (b *Budget) InUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
