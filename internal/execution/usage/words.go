package usage

import "strings"

// mark is what a word contributes to the meaning of a name.
type mark uint32

const (
	markNoise mark = 1 << iota // no meaning
	markToken
	markUsage
	markDetails
	markInput
	markOutput
	markTotal
	markCache
	markRead
	markWrite
	markShort // kept for five minutes
	markLong  // kept for an hour
	markNot
	markReasoning
	markThought // Gemini's word for reasoning, which it counts separately from the output
	markTool
	markUse
	markAudio
	markImage
	markOther // text and other kinds of content with the common price
	markCost
	markBilled
	markEval // Ollama's word for reading the prompt, and for responding
	markEstimated
	markTier     // of the service; some put it before each count
	markTicks    // xAI's unit of money
	markUpstream // of another provider, which the provider pays
	markMedia    // files and images that are counted themselves, unless the name has the word token
	markIgnored
)

// vocabulary maps the words in names of usage to their marks.
var vocabulary = func() map[string]mark {
	words := map[string]mark{}
	for list, m := range map[string]mark{
		"gen ai llm model models count counts num number n of the in usd dollars object raw data stats metric metrics content units observation operation response provider standard above chat inference modality": markNoise,

		"token tokens tok toks":                        markToken,
		"usage usages":                                 markUsage,
		"details detail metadata breakdown":            markDetails,
		"input inputs prompt prompts":                  markInput,
		"output outputs completion completions answer": markOutput,
		"candidate candidates generated generation":    markOutput,
		"total totals all sum overall":                 markTotal,
		"cache caching":                                markCache,
		"cached":                                       markCache | markRead,
		"read reads hit hits":                          markRead,
		"write writes written creation created create": markWrite,
		"5m 5min":                        markWrite | markShort,
		"1h 1hr 1hour":                   markWrite | markLong,
		"ephemeral":                      markWrite,
		"uncached noncached":             markCache | markNot,
		"no non not miss misses without": markNot,
		"reasoning reason thinking":      markReasoning,
		"thoughts thought":               markReasoning | markThought,
		"tool tools":                     markTool,
		"connector connectors":           markTool | markInput, // Mistral's tools, whose results the model reads
		"priority flex":                  markTier,
		"tick ticks":                     markTicks,
		"upstream":                       markUpstream,
		"use used":                       markUse,
		"audio speech voice":             markAudio,
		"image vision":                   markImage,
		"images":                         markImage | markMedia,
		"text texts video videos document documents":    markOther,
		"cost costs charge charges charged spend price": markCost,
		"estimated estimate":                            markEstimated,
		"billed billable":                               markBilled,
		"eval":                                          markEval,

		"aggregated cumulative prediction predictions predicted accepted rejected draft current": markIgnored,
		"request requests call calls search searches query queries web server fetch iterations":  markIgnored,
		"second seconds minute minutes hour duration time latency ms ns first per average rate":  markIgnored,
		"max maximum min limit limits budget remaining context window percent ratio":             markIgnored,
		"is byok type unit id ids speed tier geo original discount margin amount fixed":          markIgnored,
		"character characters chars file files byte bytes pixel pixels":                          markIgnored,
	} {
		for word := range strings.FieldsSeq(list) {
			words[word] = m
		}
	}
	return words
}()

// split returns the segments of a name, each as its words in lower case. A dot, a colon or a slash ends a segment. An
// underscore, a hyphen, a capital letter or a digit after a letter begins a word, so that ephemeral1hInputTokens is
// [ephemeral 1h input tokens].
func split(name string) [][]string {
	var segments [][]string
	var words []string
	start := 0
	word := func(end int) {
		if end > start {
			words = append(words, strings.ToLower(name[start:end]))
		}
		start = end
	}
	segment := func() {
		if len(words) > 0 {
			segments = append(segments, words)
			words = nil
		}
	}
	for i := 0; i < len(name); i++ {
		b := name[i]
		switch {
		case b == '.' || b == ':' || b == '/':
			word(i)
			segment()
			start = i + 1
		case b == '_' || b == '-' || b == ' ':
			word(i)
			start = i + 1
		case i > start && isUpper(b) && !isUpper(name[i-1]), i > start && isDigit(b) && isLetter(name[i-1]):
			word(i)
		}
	}
	word(len(name))
	segment()
	return segments
}

func isUpper(b byte) bool  { return b >= 'A' && b <= 'Z' }
func isDigit(b byte) bool  { return b >= '0' && b <= '9' }
func isLetter(b byte) bool { return isUpper(b) || b >= 'a' && b <= 'z' }

// meaning returns the marks of words, and whether all of them are known.
func meaning(words ...string) (marks mark, known bool) {
	known = true
	for _, word := range words {
		m, ok := vocabulary[word]
		if !ok {
			known = false
		}
		marks |= m
	}
	return marks, known
}
