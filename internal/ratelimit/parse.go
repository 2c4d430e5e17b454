package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/text"
)

// Limits of a rule's values.
const (
	maxRate   = 1_000_000_000
	maxBurst  = 1_000_000_000
	maxRefill = 366 * 24 * time.Hour // time to fill an empty bucket
	// MaxLimits is the maximum number of rules per scope: each request consults all of them.
	MaxLimits = 16
)

// Parse parses rules of the form SCOPE[/BY]=RATE/UNIT[:burst=N], such as gateway/user=60/m or
// ingest/token=5000/s:burst=20000. SCOPE is gateway, ingest or enroll. BY is user, agent or token (for enroll only token);
// without it all callers share the limit. RATE is an integer, UNIT is s, m, h or d, and burst defaults to RATE. The error
// has one line for each fault of each rule.
func Parse(rules []string) (Limits, error) {
	var limits Limits
	var faults []error
	seen := map[Limit]bool{}
	count := map[Scope]int{}
	for _, rule := range rules {
		limit, wrong := parse(rule)
		for _, what := range wrong {
			faults = append(faults, fmt.Errorf("--limit %s: %s", text.Quote(rule, 60), what))
		}
		if len(wrong) > 0 {
			continue
		}
		same := limit
		same.Burst = 0
		if seen[same] {
			faults = append(faults, fmt.Errorf("--limit %s: duplicates another limit", text.Quote(rule, 60)))
		}
		seen[same] = true
		if count[limit.Scope]++; count[limit.Scope] == MaxLimits+1 {
			faults = append(faults, fmt.Errorf("--limit %s: %s has more than %d limits", text.Quote(rule, 60), limit.Scope, MaxLimits))
		}
		limits = append(limits, limit)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return limits, nil
}

func parse(rule string) (Limit, []string) {
	var l Limit
	var wrong []string
	whom, quota, found := strings.Cut(rule, "=")
	if !found {
		return l, []string{"must be SCOPE[/BY]=RATE/UNIT[:burst=N], such as gateway/user=60/m"}
	}
	scope, by, hasBy := strings.Cut(whom, "/")
	switch l.Scope = Scope(scope); l.Scope {
	case Gateway, Ingest, Enroll:
	default:
		wrong = append(wrong, "the scope must be gateway, ingest or enroll, not "+text.Quote(scope, 60))
	}
	switch l.By = By(by); {
	case l.Scope == Enroll && (l.By == ByUser || l.By == ByAgent):
		wrong = append(wrong, "enroll is limited for each token or for all, not by "+by)
	case !hasBy, l.By == ByUser, l.By == ByAgent, l.By == ByToken:
	default:
		wrong = append(wrong, "whom it is limited for must be user, agent or token, not "+text.Quote(by, 60))
	}
	pace, option, hasOption := strings.Cut(quota, ":")
	rate, per, _ := strings.Cut(pace, "/")
	var ok bool
	if l.Rate, ok = positive(rate, maxRate); !ok {
		wrong = append(wrong, fmt.Sprintf("the rate must be a whole number from 1 to %d, not %s", maxRate, text.Quote(rate, 60)))
	}
	for _, u := range units {
		if u.name == per {
			l.Window = u.window
		}
	}
	if l.Window == 0 {
		wrong = append(wrong, "the rate is per s, m, h or d, not per "+text.Quote(per, 60))
	}
	l.Burst = l.Rate
	if hasOption {
		burst, isBurst := strings.CutPrefix(option, "burst=")
		if !isBurst {
			wrong = append(wrong, "after the rate only :burst=N can follow, not "+text.Quote(option, 60))
		} else if l.Burst, ok = positive(burst, maxBurst); !ok {
			wrong = append(wrong, fmt.Sprintf("burst must be a whole number from 1 to %d, not %s", maxBurst, text.Quote(burst, 60)))
		}
	}
	if len(wrong) == 0 && scale(l.Burst, int64(l.Window), l.Rate) > int64(maxRefill) {
		wrong = append(wrong, fmt.Sprintf("a burst of %d would need more than a year to come back", l.Burst))
	}
	return l, wrong
}

// positive parses a positive decimal number without leading zeros.
func positive(s string, limit int64) (int64, bool) {
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= limit
}
