package agent

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/pause"
)

// tokenEvery is how often the token is read again while the server rejects the current one.
const tokenEvery = 2 * time.Second

// credential is the token of requests. It is read again when the server rejects it, so that it can be replaced while the
// agent runs.
type credential struct {
	read func() (string, error) // nil if it cannot be read again
	log  *zap.Logger

	mu         sync.Mutex
	token      string
	unreadable bool
}

func (c *credential) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// renew reads the token again and reports whether it differs from the rejected one. A failure to read it is logged once.
func (c *credential) renew(refused string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != refused || c.read == nil {
		return c.token != refused
	}
	token, err := c.read()
	if err != nil && !c.unreadable {
		c.log.Warn("cannot read the token again", zap.Error(err))
	}
	c.unreadable = err != nil
	if err != nil || token == "" || token == refused {
		return false
	}
	c.token = token
	c.log.Info("using the new token")
	return true
}

// refusals counts consecutive rejected polls and logs them.
type refusals struct {
	token, agent int // 401s, 403s
	logged       bool
}

// note counts a failed poll. It reports whether the rejection of the token was logged already.
func (r *refusals) note(log *zap.Logger, err error) (logged bool) {
	switch {
	case isStatus(err, http.StatusForbidden):
		r.agent++
	case isStatus(err, http.StatusUnauthorized):
		r.token++
	}
	logged = r.logged
	if r.token >= authTries && !logged {
		r.logged = true
		log.Error("the server refuses this agent's token; polling slowly until it is accepted or --token-file holds another", zap.Error(err))
	}
	return logged || r.logged
}

// clear resets the counts after a successful poll.
func (r *refusals) clear(log *zap.Logger) {
	if r.logged {
		log.Info("the server accepts this agent's token")
	}
	*r = refusals{}
}

// pauseForToken waits for wait, or until there is another token. It returns false if ctx is done.
func (a *Agent) pauseForToken(ctx context.Context, wait time.Duration, err error) bool {
	if a.client.credential.read == nil || !isStatus(err, http.StatusUnauthorized) {
		return pause.For(ctx, wait)
	}
	refused := a.client.credential.current()
	for left := wait; left > 0; left -= tokenEvery {
		if !pause.For(ctx, min(left, tokenEvery)) {
			return false
		}
		if a.client.credential.renew(refused) {
			return true
		}
	}
	return true
}
