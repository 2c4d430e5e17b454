package replica

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/server"
)

// maxKeyFile is the maximum size of the file of --redact-names-key-file.
const maxKeyFile = 64 << 10 // bytes

// pseudonyms reads the keys of pseudonyms. It returns nil if names are stored unchanged.
func (c ExecutionConfig) pseudonyms(rules redact.Rules) (*execution.Pseudonyms, error) {
	if !c.RedactNames {
		return nil, nil //nolint:nilnil // a nil Pseudonyms keeps names
	}
	file, err := os.Open(c.RedactNamesKey)
	if err != nil {
		return nil, fmt.Errorf("--redact-names-key-file: %w", err)
	}
	defer file.Close()
	keys, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("--redact-names-key-file: %w", err)
	}
	names, err := execution.NewPseudonyms(string(keys), rules)
	if err != nil {
		return nil, fmt.Errorf("--redact-names-key-file: %s: %w", c.RedactNamesKey, err)
	}
	return names, nil
}

// pseudonymous looks up users by name in a store that holds their pseudonyms.
type pseudonymous struct {
	server.Executions
	names *execution.Pseudonyms
}

// UserActivity lists a user's executions under any pseudonym, and under the name for those stored before pseudonyms.
func (p pseudonymous) UserActivity(ctx context.Context, userID string, after execution.Position, limit int) ([]execution.Execution, error) {
	var all []execution.Execution
	for _, user := range p.names.Users(userID) {
		found, err := p.Executions.UserActivity(ctx, user, after, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b execution.Execution) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return all[:min(len(all), limit)], nil
}

// Costs returns a user's spend under all pseudonyms, and under the name.
func (p pseudonymous) Costs(ctx context.Context, query execution.CostQuery) (execution.Costs, error) {
	var users []string
	for _, name := range query.UserIDs {
		users = append(users, p.names.Users(name)...)
	}
	query.UserIDs = users
	return p.Executions.Costs(ctx, query)
}

// Search finds executions of a user or a session under any pseudonym, and under the name.
func (p pseudonymous) Search(
	ctx context.Context, search execution.Search, after execution.Position, limit, candidates int,
) (execution.Found, error) {
	var users []string
	for _, name := range search.UserIDs {
		users = append(users, p.names.Users(name)...)
	}
	var sessions []string
	for _, name := range search.SessionIDs {
		sessions = append(sessions, p.names.Sessions(name)...)
	}
	search.UserIDs, search.SessionIDs = users, sessions
	return p.Executions.Search(ctx, search, after, limit, candidates)
}

// Execution finds a user's execution under any pseudonym, and under the name.
func (p pseudonymous) Execution(ctx context.Context, id, userID string, at time.Time) (found execution.Execution, ok bool, err error) {
	if userID == "" {
		return p.Executions.Execution(ctx, id, "", at)
	}
	for _, user := range p.names.Users(userID) {
		if found, ok, err = p.Executions.Execution(ctx, id, user, at); ok || err != nil {
			break
		}
	}
	return found, ok, err
}

// EraseUser erases a user under every pseudonym and under the name.
func (p pseudonymous) EraseUser(ctx context.Context, userID string) (execution.Erased, error) {
	var all execution.Erased
	for _, user := range p.names.Users(userID) {
		erased, err := p.Executions.EraseUser(ctx, user)
		if err != nil {
			return all, err
		}
		all.Executions += erased.Executions
		all.Rollups += erased.Rollups
	}
	return all, nil
}

// apiStore is the store as the API sees it.
func (e *executions) apiStore() server.Executions {
	if e.names == nil {
		return e.store
	}
	return pseudonymous{e.store, e.names}
}

// pseudonym returns the function that names users in the API's logs; nil for fingerprints.
func (e *executions) pseudonym() func(string) string {
	if e.names == nil {
		return nil
	}
	return e.names.User
}
