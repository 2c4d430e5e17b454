package usage

import (
	"slices"
	"strings"
)

// kind is what a name means.
type kind uint8

const (
	silent kind = iota // not about usage

	// Counts.
	input
	output
	total
	bare     // a count of tokens of an unknown kind
	uncached // input without cached tokens
	cacheRead
	cacheWrite
	cacheWrite5m
	cacheWrite1h
	reasoning
	toolInput // input in addition to the prompt
	audioInput
	audioOutput
	audioCacheRead
	imageInput
	imageOutput
	textInput // the text of the prompt, and of the response: the part of input and output with the common price
	textOutput
	counts // the number of kinds of counts; not a kind

	cost
	costInput
	costOutput
	costUpstream // what a provider pays another one
	tier         // of the service, as the provider reported it
	tierAsked    // as requested
	region
	speed

	ignored   // about usage, but not a count of tokens with a price of its own
	unread    // about usage, with an unknown word
	named     // contains usage
	container // may contain usage, among other things
)

// Name is the meaning of the name of an attribute or of an object's member.
type Name struct {
	kind  kind
	flags flag
	rank  uint8 // orders names of the same count: the lowest whose value exceeds zero is used
	tier  tierWord
}

// tierWord is a service tier that is part of a count's name.
type tierWord uint8

const (
	noTier tierWord = iota
	flexTier
	priorityTier
)

func (w tierWord) String() string { return [...]string{"", "flex", "priority"}[w] }

type flag uint8

const (
	// within: the name is that of a part of the input or the output.
	within flag = 1 << iota
	// ofInput, ofOutput: the members of an object of this name are parts of the input, or the output.
	ofInput
	ofOutput
	// old: the name has a replaced word. Input that is called a prompt includes cached tokens, as in OpenAI's API.
	old
	// beside: the name is Gemini's for reasoning, which is counted separately from the output.
	beside
	// money: an object of this name contains costs.
	money
	// conventional: the name is part of a convention, and its value must be a count.
	conventional
	// ticks: the value is money in units of 10^-10 USD.
	ticks
)

func (n Name) is(f flag) bool { return n.flags&f != 0 }

// prefix returns the path prefix of the members of an object of this name.
func (n Name) prefix() string {
	switch {
	case n.is(ofInput):
		return "input_details."
	case n.is(ofOutput):
		return "output_details."
	}
	return ""
}

// Silent reports whether a name is not about usage.
func (n Name) Silent() bool { return n.kind == silent }

// Counts reports whether a name counts input, output or both, in its value or in the object that is its value.
func (n Name) Counts(text string) bool {
	switch n.kind {
	case input, output, total:
		return !n.is(ofInput | ofOutput)
	case named, bare:
		return len(text) > 2 && text[0] == '{'
	}
	return false
}

// Measures reports whether a name is about usage itself, not a response that may contain some.
func (n Name) Measures() bool { return n.kind != silent && n.kind != container }

const (
	rankBilled = 0
	rankOther  = 20
	rankPart   = 21 // of a part of what is counted
)

// conventions are the prefixes of names whose values are counts by convention, in order of precedence. Within each,
// OpenTelemetry's current input and output precede prompt and completion.
var conventions = []string{"gen_ai.usage.", "llm.usage.", "llm.token_count.", "ai.usage."}

// containers are pairs of words that end the names of attributes with a provider's response, or a part of it.
var containers = [][2]string{
	{"provider", "metadata"}, {"response", "metadata"}, {"llm", "response"}, {"genkit", "output"}, {"raw", "response"},
}

// regions are the first words of attributes that name the region or service tier of a model.
var regions = []string{"cloud", "aws", "gcp", "azure", "gen", "llm", "bedrock", "vertex"}

// classifyAttribute returns what an attribute's name means.
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

// mayMatter reports whether a name may be about usage. Most are not.
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
	if endsIn(last, "traffic", "type") && slices.Contains(regions, all[0]) { // Vertex AI's name for the tier
		return Name{kind: tier}
	}
	for i, segment := range segments {
		if slices.Equal(segment, []string{"count", "tokens"}) {
			return Name{} // a request that counts what another would use
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

// classifyUsage classifies a name that contains the word usage. Counts of the usage of other things, such as memory,
// are not token counts.
func classifyUsage(words, all []string) Name {
	found := classify(words)
	if found.kind == bare {
		if marks, _ := meaning(all...); marks&markToken == 0 {
			found.kind = named
		}
	}
	return found
}

// classifyTokens classifies a name that counts tokens without the word usage: its last segments must name what is
// counted.
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

// classifyMember classifies the path of a member of an object that contains usage.
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
		if endsIn(last, "traffic", "type") { // Vertex AI's name for the tier
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

// telling removes from a member's path the segments that classifyMember ignores: they are arbitrary and unfit for a
// metric.
func telling(path string) string {
	for {
		_, rest, inside := strings.Cut(path, ".")
		if segments := split(path); !inside || len(segments) < 2 || !unknown(segments[0]) {
			return path
		}
		path = rest
	}
}
