package usage

import (
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// Source identifies the reporter of the usage. Every field may be empty.
type Source struct {
	Scope    string // the instrumentation that made the span
	Provider string // in lower case
	Model    string
	Reads    bool // the call only reads, such as an embedding
}

// Result is the reported usage of a call.
type Result struct {
	Tokens  execution.Tokens
	Billing execution.Billing
	Cost    *int64 // nano-USD that the provider charges; nil if not reported
	// Absurd reports that a count exceeded the maximum; the usage is then unknown.
	Absurd bool
	// Unread are names of unknown counts, at most maxUnread.
	Unread []string
}

// Counted reports whether any count was reported.
func (t *Result) Counted() bool { return t.Tokens.Used > 0 }

// settle derives the usage from a statement. whole reports that it is an object as a provider sends it, for which other
// rules apply.
func (s *statement) settle(by Source, whole bool) Result {
	result := Result{Absurd: s.absurd, Unread: s.unread, Cost: s.charge(whole)}
	result.Billing.ServiceTier, result.Billing.Region = s.service(), s.place()
	if s.absurd {
		return result
	}
	t := &result.Tokens
	s.dropUnbilled()
	t.CacheRead = max(s.n[cacheRead], s.n[audioCacheRead])
	t.CacheWrite = max(s.n[cacheWrite], s.n[cacheWrite5m]+s.n[cacheWrite1h])
	t.Reasoning = s.n[reasoning]
	if s.rank[total] == rankOther && s.rank[input] < rankOther && s.rank[output] < rankOther && s.n[input] > 0 && s.n[output] > 0 {
		// A total whose name differs in style from the parts' may be of something else, such as a session.
		s.n[total], s.reported = 0, s.reported&^(1<<total)
	}
	t.Input, t.Output, t.Used = s.n[input], s.n[output], s.n[total]
	s.addKinds(t)
	if t.Used == 0 && t.Input == 0 && t.Output == 0 {
		t.Used = s.n[bare]
	}
	s.settleInput(t, by, whole)
	s.settleOutput(t, by, whole)
	s.settleRest(t, by)
	clamp(t)
	t.Add(s.more)
	if t.Input > execution.MaxTokens || t.Output > execution.MaxTokens {
		return Result{Absurd: true, Unread: s.unread, Cost: result.Cost, Billing: result.Billing}
	}
	s.bill(&result)
	return result
}

// dropUnbilled drops parts of the input that are not billed counts, if the input is a billed count.
func (s *statement) dropUnbilled() {
	if s.n[input] == 0 || s.rank[input] != rankBilled {
		return
	}
	for _, k := range []kind{cacheRead, cacheWrite, cacheWrite5m, cacheWrite1h, audioCacheRead, audioInput, imageInput, textInput} {
		if s.rank[k] != rankBilled {
			s.n[k], s.reported = 0, s.reported&^(1<<k)
		}
	}
}

// addKinds sums the input and output by kind of content, if nothing else counts them.
func (s *statement) addKinds(t *execution.Tokens) {
	if t.Input == 0 && !s.has(uncached) && (t.Used == 0 || s.n[textInput] > 0) {
		t.Input = s.n[textInput] + s.n[audioInput] + s.n[imageInput]
	}
	if answered := s.answered(); t.Output == 0 && answered > 0 {
		t.Output = answered + t.Reasoning
	}
}

// settleInput makes the input include cached tokens. The evidence, in order of precedence, is the count of uncached
// tokens, parts larger than the whole, the total, the place of the cached counts, and the source.
func (s *statement) settleInput(t *execution.Tokens, by Source, whole bool) {
	cached := t.CacheRead + t.CacheWrite
	switch fresh := s.n[uncached]; {
	case cached == 0 && s.has(uncached):
		t.Input = max(t.Input, fresh)
	case cached == 0:
	case s.has(uncached) && (t.Input == 0 || t.Input == fresh):
		t.Input = fresh + cached
		if s.has(total) && t.Used == fresh+t.CacheRead+t.Output { // it counts tokens written to the cache as uncached
			t.Input -= t.CacheWrite
		}
	case s.has(uncached) && t.Input == fresh+cached:
	case whole && s.within && cached > t.Input: // a mistake of the provider: what it reports as a part is a part
	case cached > t.Input:
		if s.has(input) || !s.has(total) {
			t.Input += cached
		}
	default:
		t.Input += s.outside(t, by, whole)
	}
	t.Input += s.n[toolInput]
}

// outside returns the number of cached tokens that the input does not include.
func (s *statement) outside(t *execution.Tokens, by Source, whole bool) int64 {
	cached, parts := t.CacheRead+t.CacheWrite, t.Input+t.Output+s.n[toolInput]
	if rest := t.Used - parts; s.has(total) && rest > 0 {
		thought := t.Reasoning > 0 && rest == t.Reasoning // the reasoning alone may explain the larger total
		switch {
		case thought && (s.within || s.prompt || s.beside):
			return 0
		case rest == cached, rest == cached+t.Reasoning:
			return cached
		}
	}
	switch {
	case s.within:
		return 0
	case whole && s.has(total), whole && s.prompt:
		return 0
	case whole, by.leavesCacheOut():
		return cached // as in Anthropic's API
	}
	return 0
}

// settleOutput makes the output include the reasoning.
func (s *statement) settleOutput(t *execution.Tokens, by Source, whole bool) {
	rest := t.Used - t.Input - t.Output
	switch {
	case t.Reasoning == 0, whole && s.inOutput && t.Reasoning > t.Output && !s.has(total) && !by.reasoningIsSeparate():
	case t.Reasoning > t.Output && (s.has(output) || !s.has(total)):
		t.Output += t.Reasoning
	case s.has(total) && rest == t.Reasoning:
		t.Output += t.Reasoning
	case s.beside && s.answered() > 0 && (s.answered() == t.Output || s.answered() == t.Output-t.Reasoning):
		t.Output = s.answered() + t.Reasoning
	case (s.beside || s.parts) && !s.inOutput && (!s.has(total) || rest != 0):
		t.Output += t.Reasoning
	}
}

// answered returns the tokens of the response, summed by kind of content.
func (s *statement) answered() int64 { return s.n[textOutput] + s.n[audioOutput] + s.n[imageOutput] }

// settleRest assigns the excess of a total over its parts. It is the part that was not reported, or the reasoning if
// the provider counts that in the total alone. Otherwise it remains as used tokens that cannot be priced.
func (s *statement) settleRest(t *execution.Tokens, by Source) {
	rest := t.Used - t.Input - t.Output
	switch {
	case rest <= 0:
	case rest == t.Used && by.onlyReads():
		t.Input = rest
	case t.Input > 0 && !s.has(output):
		t.Output += rest
	case t.Output > 0 && !s.has(input) && !s.has(uncached):
		t.Input += rest
	case t.Input > 0 && by.reasoningIsSeparate():
		t.Output += rest
		if t.Reasoning == 0 {
			t.Reasoning = rest
		}
	}
	t.Used = max(t.Used, t.Input+t.Output)
	if rest < 0 && t.Distinguish() {
		t.Used = t.Input + t.Output
	}
}

// clamp limits counts of parts to what they are parts of.
func clamp(t *execution.Tokens) {
	t.CacheRead = min(t.CacheRead, t.Input)
	t.CacheWrite = min(t.CacheWrite, t.Input-t.CacheRead)
	t.Reasoning = min(t.Reasoning, t.Output)
}

func (s *statement) bill(result *Result) {
	t, b := &result.Tokens, &result.Billing
	b.CacheWrite1h, b.AudioCacheRead = s.n[cacheWrite1h], s.n[audioCacheRead]
	b.AudioInput, b.ImageInput = s.n[audioInput], s.n[imageInput]
	b.AudioOutput, b.ImageOutput = s.n[audioOutput], s.n[imageOutput]
	fit(b, t)
}

// fit limits the counts of b to those of t that they are parts of.
func fit(b *execution.Billing, t *execution.Tokens) {
	b.CacheWrite1h = min(b.CacheWrite1h, t.CacheWrite)
	b.AudioCacheRead = min(b.AudioCacheRead, t.CacheRead)
	b.AudioInput = min(b.AudioInput, t.Input)
	b.ImageInput = min(b.ImageInput, t.Input-b.AudioInput)
	b.AudioOutput = min(b.AudioOutput, t.Output)
	b.ImageOutput = min(b.ImageOutput, t.Output-b.AudioOutput)
}

// charge returns the provider's charge. Zero means no charge if the provider reports it; an instrumentation also
// reports zero if it could not load its price list.
func (s *statement) charge(whole bool) *int64 {
	nano, known := s.cost, s.costKnown
	if parts := s.costParts[0] + s.costParts[1]; !known || nano == 0 && parts > 0 {
		nano, known = parts, s.costFound
	}
	if s.ownKey && s.upstream > 0 { // the provider charges only for passing the call on
		nano, known = nano+s.upstream, true
	}
	if !known || nano == 0 && !whole {
		return nil
	}
	return new(nano)
}

// service returns the service tier, or "" for the common one.
func (s *statement) service() string {
	name := s.tier
	if name == "" {
		name = s.tierAsked
	}
	if (name == "" || isCommon(name)) && s.speed != "" {
		name = s.speed
	}
	if isCommon(name) {
		return ""
	}
	return name
}

func isCommon(tier string) bool {
	switch tier {
	case "default", "standard", "auto", "none", "null", "on_demand", "on-demand", "unknown", "unspecified":
		return true
	}
	return false
}

func (s *statement) place() string {
	switch s.region {
	case "global", "not_available", "none", "unknown":
		return ""
	}
	return s.region
}

// leavesCacheOut reports whether a source's input leaves out cached tokens although its names and sums do not show it.
func (by Source) leavesCacheOut() bool {
	for _, known := range leavingCacheOut {
		if by.Scope == known.scope || known.prefix && strings.HasPrefix(by.Scope, known.scope) {
			return known.provider == nil || known.provider(by)
		}
	}
	return false
}

// leavingCacheOut lists the instrumentations that pass on the counts of Anthropic's and Bedrock's APIs unchanged.
var leavingCacheOut = []struct {
	scope    string
	prefix   bool // scope is a prefix
	provider func(Source) bool
}{
	{"openlit.instrumentation.anthropic", false, nil},
	{"openlit.instrumentation.bedrock", false, nil},
	{"opentelemetry.instrumentation.botocore", true, nil},
	{"opentelemetry.instrumentation.bedrock", false, nil},
	{"@opentelemetry/instrumentation-aws-sdk", false, nil},
	{"@traceloop/instrumentation-anthropic", false, nil},
	{"@traceloop/instrumentation-bedrock", false, nil},
	{"org.springframework", true, Source.countsBeside},
	{"ai", false, Source.countsBeside},
}

// countsBeside reports whether the provider's API counts cached tokens separately from the input.
func (by Source) countsBeside() bool {
	return strings.Contains(by.Provider, "anthropic") || strings.Contains(by.Provider, "bedrock") ||
		strings.Contains(strings.ToLower(by.Model), "claude")
}

// onlyReads reports whether the call's output has no tokens, like an embedding's.
func (by Source) onlyReads() bool {
	if by.Reads {
		return true
	}
	model := strings.ToLower(by.Model)
	for _, word := range []string{"embed", "rerank", "voyage", "moderation"} {
		if strings.Contains(model, word) {
			return true
		}
	}
	return false
}

// reasoningIsSeparate reports whether the provider's API counts reasoning in the total but not in the output.
func (by Source) reasoningIsSeparate() bool {
	model := strings.ToLower(by.Model)
	if strings.Contains(model, "gemini") || strings.Contains(model, "grok") {
		return true
	}
	if strings.Contains(model, "claude") || strings.Contains(model, "gpt") {
		return false // regardless of the provider
	}
	for _, maker := range []string{"gemini", "google", "gcp", "vertex", "xai", "x_ai", "x-ai"} {
		if strings.Contains(by.Provider, maker) {
			return true
		}
	}
	return false
}
