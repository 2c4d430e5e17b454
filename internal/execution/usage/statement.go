package usage

import (
	"math"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

const (
	maxUnread = 8  // names per call
	maxTier   = 32 // bytes
	maxCost   = 1e6
)

// statement is what one source reports: the attributes of a span, or an object.
type statement struct {
	n        [counts]int64
	rank     [counts]uint8 // of the names that n comes from
	reported uint32        // a bit for each kind that is set in n

	// within reports that cached tokens were reported in the input's details; prompt that the input is called a prompt;
	// beside that the reasoning has Gemini's name; inOutput that the reasoning was reported in the output's details.
	within, prompt, beside, inOutput bool
	parts                            bool // separate counts add up, as in Langfuse: output 15 and output_reasoning_tokens 5
	absurd                           bool // a count exceeds the maximum

	cost      int64 // nano-USD
	costKnown bool
	costParts [2]int64 // of the input and of the output
	costFound bool     // costParts is set
	upstream  int64    // nano-USD, paid by the provider, or by the caller if ownKey is set
	ownKey    bool

	label string           // the type that the object states
	model bool             // it names a model
	more  execution.Tokens // not included in the counts; Anthropic reports it separately

	tier, tierAsked, region, speed string

	unread []string
	source string // the attribute's name, for unread
}

func (s *statement) has(k kind) bool { return s.reported&(1<<k) != 0 }

// number adds a number.
func (s *statement) number(name Name, f float64) {
	switch name.kind {
	case cost, costInput, costOutput, costUpstream:
		if name.is(ticks) {
			f /= 1e10
		}
		s.charged(name.kind, f)
		return
	}
	if name.kind == silent || name.kind >= counts || math.IsNaN(f) || f < 0 || f != math.Trunc(f) && !math.IsInf(f, 1) {
		return
	}
	if f > execution.MaxTokens && (name.kind != total || f > 2*execution.MaxTokens) {
		s.absurd = true
		return
	}
	k, n := name.kind, int64(f)
	s.reported |= 1 << k
	// Of two values of a count, the one with the better name is used; of equal names the larger, since errors in counts
	// are usually omissions. Zero may mean that an instrumentation does not know.
	if n == 0 || s.n[k] > 0 && (name.rank > s.rank[k] || name.rank == s.rank[k] && n <= s.n[k]) {
		return
	}
	s.n[k], s.rank[k] = n, name.rank
	if name.tier != noTier && s.tierAsked == "" {
		s.tierAsked = name.tier.String()
	}
	switch k {
	case cacheRead, cacheWrite, cacheWrite5m, cacheWrite1h:
		s.within = s.within || name.is(within)
	case input:
		s.prompt = s.prompt || name.is(old)
	case reasoning:
		s.beside, s.inOutput = s.beside || name.is(beside), s.inOutput || name.is(within)
	}
}

// charged adds a charge in USD. Of two values the larger is used.
func (s *statement) charged(k kind, f float64) {
	if !(f >= 0 && f <= maxCost) {
		return
	}
	nano := int64(math.Round(f * 1e9))
	switch k {
	case cost:
		s.cost, s.costKnown = max(s.cost, nano), true
		return
	case costUpstream:
		s.upstream = max(s.upstream, nano)
		return
	}
	part := &s.costParts[k-costInput]
	*part, s.costFound = max(*part, nano), true
}

// text adds a text.
func (s *statement) text(name Name, text string) {
	switch name.kind {
	case tier:
		s.tier = strings.TrimPrefix(word(text), "on_demand_")
	case tierAsked:
		s.tierAsked = word(text)
	case region:
		s.region = word(text)
	case speed:
		s.speed = word(text)
	default:
		if f, ok := numeric(text, name.kind); ok {
			s.number(name, f)
		}
	}
}

// numeric parses a number in a text.
func numeric(text string, k kind) (float64, bool) {
	if k == silent || k > costUpstream || k == counts || len(text) > 32 {
		return 0, false
	}
	text = strings.TrimSpace(text)
	if k >= cost {
		text = strings.TrimPrefix(text, "$")
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil || math.IsInf(f, 0)
}

// word returns a text that is a single word, in lower case, or "" if it is not.
func word(text string) string {
	if text == "" || len(text) > maxTier {
		return ""
	}
	for i := range len(text) {
		if b := text[i]; !isLetter(b) && !isDigit(b) && b != '_' && b != '-' && b != '.' {
			return ""
		}
	}
	return strings.ToLower(text)
}

func (s *statement) memberNumber(path []byte, f float64, costs bool) {
	name := memberOf(path, costs)
	if name.kind == unread && f > 0 {
		s.missed(telling(string(path)))
		return
	}
	s.number(name, f)
}

func (s *statement) memberText(path []byte, text string, costs bool) {
	if len(text) > maxTier {
		return
	}
	switch string(path) {
	case "type":
		s.label = text
	case "model":
		s.model = text != ""
	}
	s.text(memberOf(path, costs), text)
}

// memberFlag adds a member that is true.
func (s *statement) memberFlag(path []byte) {
	if string(path) == "is_byok" || string(path) == "isByok" {
		s.ownKey = true
	}
}

// memberOf returns what a member means. In an object of costs, all members are costs.
func memberOf(path []byte, costs bool) Name {
	if costs {
		path = append(append(make([]byte, 0, len(path)+5), "cost."...), path...)
	}
	return member(path)
}

// missed records the name of an unknown count.
func (s *statement) missed(name string) {
	if s.source != "" {
		name = s.source + "." + name
	}
	if len(s.unread) < maxUnread {
		s.unread = append(s.unread, name)
	}
}

// over merges a later statement, whose values take precedence. A count does not fall to zero: an event of a stream may
// have zero for a count that it does not report.
func (s *statement) over(later *statement) {
	for k := range counts {
		if later.has(k) && (later.n[k] > 0 || !s.has(k)) {
			s.n[k], s.rank[k] = later.n[k], later.rank[k]
		}
	}
	s.reported |= later.reported
	s.within, s.prompt = s.within || later.within, s.prompt || later.prompt
	s.beside, s.inOutput = s.beside || later.beside, s.inOutput || later.inOutput
	s.absurd = s.absurd || later.absurd
	if later.costKnown {
		s.cost, s.costKnown = later.cost, true
	}
	if later.costFound {
		s.costParts, s.costFound = later.costParts, true
	}
	if later.upstream > 0 {
		s.upstream = later.upstream
	}
	s.ownKey = s.ownKey || later.ownKey
	if later.more.Used > 0 {
		s.more = later.more
	}
	for _, text := range []struct{ is, later *string }{
		{&s.tier, &later.tier}, {&s.tierAsked, &later.tierAsked}, {&s.region, &later.region}, {&s.speed, &later.speed},
	} {
		if *text.later != "" {
			*text.is = *text.later
		}
	}
	for _, name := range later.unread {
		if len(s.unread) < maxUnread {
			s.unread = append(s.unread, name)
		}
	}
}
