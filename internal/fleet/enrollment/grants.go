// Package enrollment holds the enrollment tokens and the grant of each: those of the command line and those of a file,
// which is reloaded when it changes.
package enrollment

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/watchbill/watchbill/internal/configfile"
	"github.com/watchbill/watchbill/internal/fleet"
)

// Options are the sources of grants.
type Options struct {
	Tokens    string // separated by commas; limited only by MaxAgents
	MaxAgents int    // limit for each token without one in the file; 0: no limit
	File      string // see Parse; may be empty
}

// Grants are the valid enrollment tokens.
type Grants struct {
	opts    Options
	file    *configfile.File
	current atomic.Pointer[[]fleet.Grant]
}

// Open reads the file. Any fault in it is an error.
func Open(o Options) (*Grants, error) {
	g := &Grants{opts: o, file: configfile.New(o.File, maxFile)}
	g.set(nil)
	return g, g.Refresh(context.Background())
}

// Refresh reads the file again if it has changed. If it is invalid the grants stay as they are.
func (g *Grants) Refresh(context.Context) error {
	if g.opts.File == "" {
		return nil
	}
	content, changed, err := g.file.Read()
	if err != nil {
		return fmt.Errorf("read the enrollment tokens: %w", err)
	}
	if !changed {
		return nil
	}
	grants, err := Parse(content)
	if err != nil {
		return fmt.Errorf("read the enrollment tokens in %s: %w", g.opts.File, err)
	}
	g.set(grants)
	return nil
}

// set replaces the grants. Those of the file take precedence over those of the command line.
func (g *Grants) set(grants []fleet.Grant) {
	known := map[fleet.TokenHash]bool{}
	for i := range grants {
		if known[grants[i].Token] = true; grants[i].MaxAgents == 0 {
			grants[i].MaxAgents = g.opts.MaxAgents
		}
	}
	for token := range strings.SplitSeq(g.opts.Tokens, ",") {
		token = strings.TrimSpace(token)
		if hash := fleet.HashToken(token); token != "" && !known[hash] {
			known[hash] = true
			grants = append(grants, fleet.Grant{Token: hash, MaxAgents: g.opts.MaxAgents})
		}
	}
	g.current.Store(&grants)
}

// Find returns the grant of a token, or nil. Its time does not depend on the tokens' contents.
func (g *Grants) Find(token fleet.TokenHash) *fleet.Grant {
	var found *fleet.Grant
	all := *g.current.Load()
	for i := range all {
		if all[i].Token.Equal(token) {
			found = &all[i]
		}
	}
	return found
}

// Any reports whether agents can enroll, now or once the file has a token.
func (g *Grants) Any() bool { return g.opts.File != "" || len(*g.current.Load()) > 0 }
