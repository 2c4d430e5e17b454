package postgres_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
)

// TestUsersAreSeenByIndex checks that finding out when a user was seen first and last does not read all of the user's
// rollups, of which there are thousands.
func TestUsersAreSeenByIndex(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	const users, quarters = 40, 4000
	db.execAsAdmin(t, fmt.Sprintf(`INSERT INTO user_rollups (seconds, bucket, user_id, model, requests, tokens_used, input_tokens, output_tokens,
			cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, unpriced_tokens)
		SELECT 900, '2026-01-01T00:00:00Z'::timestamptz + q * interval '15 min', 'user-' || u, 'model', 1, 1, 1, 0, 0, 0, 0, 1, 0
		FROM generate_series(1, %d) u, generate_series(1, %d) q`, users, quarters))
	db.exec(t, "VACUUM (ANALYZE) user_rollups")
	var ids []string
	for u := range users {
		ids = append(ids, fmt.Sprintf("user-%d", u+1))
	}
	plan, err := s.ExplainUsersSeen(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	// The first line with buffers is that of the whole query.
	hits := regexp.MustCompile(`shared hit=(\d+)`).FindStringSubmatch(plan)
	if hits == nil {
		t.Fatalf("want the buffers of the plan, got\n%s", plan)
	}
	if n, err := strconv.Atoi(hits[1]); err != nil || n > users*40 {
		t.Errorf("want at most %d buffers for %d users with %d rollups each, got %d, %v:\n%s", users*40, users, quarters, n, err, plan)
	}
}
