package usage

import (
	"slices"
	"strings"
)

// kind is what a name says.
type kind uint8

const (
	silent kind = iota // nothing of usage

	// Counts.
	input
	output
	total
	bare     // a count of tokens that does not say of which
	uncached // input without what was cached
	cacheRead
	cacheWrite
	cacheWrite5m
	cacheWrite1h
	reasoning
	toolInput // input beside the prompt
	audioInput
	audioOutput
	audioCacheRead
	imageInput
	imageOutput
	textInput // the prompt's text, and the answer's: the rest of the input and output, which have the common price
	textOutput
	counts // how many kinds of counts there are, and none of them

	cost
	costInput
	costOutput
	costUpstream // what a provider pays another one
	tier         // of the service, as the provider answered
	tierAsked    // as it was asked for
	region
	speed

	ignored   // is about usage, and no count of tokens that has a price of its own
	unread    // is about usage, and has a word that is not known
	named     // holds usage
	container // may hold usage, among other things
)

// Name is what the name of an attribute, or of a member of an object, says.
type Name struct {
	kind  kind
	flags flag
	rank  uint8 // orders names of the same count: the lowest that says more than zero is taken
	tier  tierWord
}

// tierWord is a tier of service that a count's name has in it.
type tierWord uint8

const (
	noTier tierWord = iota
	flexTier
	priorityTier
)

func (w tierWord) String() string { return [...]string{"", "flex", "priority"}[w] }

type flag uint8

const (
	// within: it names a part of what is around it, of the input or the output.
	within flag = 1 << iota
	// ofInput, ofOutput: the members of an object of this name are parts of the input, or the output.
	ofInput
	ofOutput
	// old: it has a word that was replaced. Input that is called a prompt includes what was cached, as OpenAI has it.
	old
	// beside: it is Gemini's word for reasoning, which is counted beside the answer.
	beside
	// money: an object of this name has costs.
	money
	// conventional: it is one of a convention, whose value must be a count.
	conventional
	// ticks: it is money in units of 10^-10 USD.
	ticks
)

func (n Name) is(f flag) bool { return n.flags&f != 0 }

// prefix is what the members of an object of this name are parts of.
func (n Name) prefix() string {
	switch {
	case n.is(ofInput):
		return "input_details."
	case n.is(ofOutput):
		return "output_details."
	}
	return ""
}

// Silent reports whether a name says nothing of usage.
func (n Name) Silent() bool { return n.kind == silent }

// Counts reports whether a name counts input, output or both, itself or in the object that is its value.
func (n Name) Counts(text string) bool {
	switch n.kind {
	case input, output, total:
		return !n.is(ofInput | ofOutput)
	case named, bare:
		return len(text) > 2 && text[0] == '{'
	}
	return false
}

// Measures reports whether a name is of usage itself, not of an answer that may have some in it.
func (n Name) Measures() bool { return n.kind != silent && n.kind != container }

const (
	rankBilled = 0
	rankOther  = 20
	rankPart   = 21 // of a part of what is counted
)

// conventions are the prefixes of names whose values are counts by a convention, the best first. Within each, what
// OpenTelemetry calls input and output now comes before prompt and completion.
var conventions = []string{"gen_ai.usage.", "llm.usage.", "llm.token_count.", "ai.usage."}

// containers are pairs of words that end the names of attributes with a provider's answer, or a part of it.
var containers = [][2]string{
	{"provider", "metadata"}, {"response", "metadata"}, {"llm", "response"}, {"genkit", "output"}, {"raw", "response"},
}

// regions are the first words of attributes that tell where a model runs, or how urgently.
var regions = []string{"cloud", "aws", "gcp", "azure", "gen", "llm", "bedrock", "vertex"}

// classifyAttribute finds out what an attribute's name says.
func classifyAttribute(name string) Name {
	if !mayMatter(name) {
		return Name{}
	}
	segments := split(name)
	if len(segments) == 0 {
		return Name{}
	}
	found := classifySegments(segments)
	if name == "ai.usage.tokens" { // the AI SDK's, of an embedding
		found = Name{kind: input}
	}
	if found.kind > silent && found.kind < counts && found.kind != textInput && found.kind != textOutput {
		for i, prefix := range conventions {
			if strings.HasPrefix(name, prefix) {
				found.flags, found.rank = found.flags|conventional, uint8(2*i+1)
				if found.is(old) {
					found.rank++
				}
			}
		}
	}
	return found
}

// mayMatter reports whether a name could say something of usage. Most do not.
func mayMatter(name string) bool {
	for _, part := range []string{"oken", "sage", "ost", "ier", "egion", "etadata", "etrics", "esponse", "enkit:output", "harge", "raffic", "OKEN", "SAGE"} {
		if strings.Contains(name, part) {
			return len(name) <= maxName
		}
	}
	return false
}

func classifySegments(segments [][]string) Name {
	all := slices.Concat(segments...)
	last := segments[len(segments)-1]
	if endsIn(last, "traffic", "type") && slices.Contains(regions, all[0]) { // Vertex AI's word for the tier
		return Name{kind: tier}
	}
	for i, segment := range segments {
		if slices.Equal(segment, []string{"count", "tokens"}) {
			return Name{} // a call that counts what another would use
		}
		marks, known := meaning(segment...)
		switch {
		case marks&markUsage != 0:
			return classifyUsage(slices.Concat(segments[i:]...), all)
		case slices.Equal(segment, []string{"token", "count"}) && i+1 < len(segments):
			return classify(slices.Concat(segments[i:]...))
		case marks&markCost != 0 && known:
			if found := classify(slices.Concat(segments[i:]...)); found.kind != unread {
				return found
			}
			return Name{}
		}
	}
	switch {
	case endsIn(last, "service", "tier"):
		if slices.Contains(all, "request") {
			return Name{kind: tierAsked}
		}
		return Name{kind: tier}
	case last[len(last)-1] == "region" && slices.Contains(regions, all[0]):
		return Name{kind: region}
	}
	if slices.Equal(all, []string{"braintrust", "metrics"}) {
		return Name{kind: named}
	}
	if len(all) >= 2 && slices.Contains(containers, [2]string(all[len(all)-2:])) {
		return Name{kind: container}
	}
	return classifyTokens(segments)
}

func endsIn(words []string, pair ...string) bool {
	return len(words) >= len(pair) && slices.Equal(words[len(words)-len(pair):], pair)
}

// classifyUsage is for names with the word usage in them. The count of something else that is used, such as memory, is none.
func classifyUsage(words, all []string) Name {
	found := classify(words)
	if found.kind == bare {
		if marks, _ := meaning(all...); marks&markToken == 0 {
			found.kind = named
		}
	}
	return found
}

// classifyTokens is for names that count tokens without the word usage: their last segments must say of what.
func classifyTokens(segments [][]string) Name {
	for from := max(len(segments)-3, 0); from < len(segments); from++ {
		words := slices.Concat(segments[from:]...)
		marks, known := meaning(words...)
		if !known || marks&markToken == 0 || marks&(markInput|markOutput) == 0 && slices.ContainsFunc(segments[from:len(segments)-1], isResponse) {
			continue
		}
		if found := classify(words); found.kind > silent && found.kind < counts && found.kind != bare {
			return found
		}
	}
	return Name{}
}

func isResponse(segment []string) bool { return endsIn(segment, "response") }

// classifyMember is for the path of a member of an object that has usage in it.
func classifyMember(path string) Name {
	segments := split(path)
	if len(segments) == 0 {
		return Name{}
	}
	last := segments[len(segments)-1]
	switch last[len(last)-1] {
	case "tier":
		return Name{kind: tier}
	case "type":
		if endsIn(last, "traffic", "type") { // Vertex AI's word for the tier
			return Name{kind: tier}
		}
	case "geo", "region":
		return Name{kind: region}
	case "speed":
		return Name{kind: speed}
	}
	for len(segments) > 1 && unknown(segments[0]) { // {"claude-sonnet-4-5": {"inputTokens": 5}}
		segments = segments[1:]
	}
	return classify(slices.Concat(segments...))
}

// telling cuts from a member's path what classifyMember does not look at: it may be anything, and not fit for a metric.
func telling(path string) string {
	for {
		_, rest, inside := strings.Cut(path, ".")
		if segments := split(path); !inside || len(segments) < 2 || !unknown(segments[0]) {
			return path
		}
		path = rest
	}
}
