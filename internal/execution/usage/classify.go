package usage

import "slices"

// unknown reports whether none of the words is known.
func unknown(words []string) bool {
	marks, _ := meaning(words...)
	return marks == 0
}

// classify returns what words that are all about usage mean.
func classify(words []string) Name {
	m, known := meaning(words...)
	if m&(markInput|markOutput|markCache) == 0 && saysResponse(words) {
		m |= markOutput
	}
	has := func(some mark) bool { return m&some != 0 }
	n := Name{rank: rankOther}
	if has(markBilled) { // the billed count, if a provider reports two
		n.rank = rankBilled
	}
	if has(markDetails) {
		switch {
		case has(markInput) && !has(markOutput):
			n.flags |= ofInput | within
		case has(markOutput) && !has(markInput):
			n.flags |= ofOutput | within
		}
	}
	switch {
	case has(markCost):
		if n.kind, n.flags = costOf(m, known), n.flags|money; has(markTicks) {
			n.flags |= ticks
		}
	case has(markIgnored | markEstimated | markTicks | markUpstream), has(markMedia) && !has(markToken):
		n.kind = ignored
	case !known && has(markToken|markInput|markOutput|markCache|markReasoning|markTotal):
		n.kind = unread
	case !known:
		n.kind = ignored
	case m&^(markNoise|markToken|markUsage|markDetails) == markOther|markInput:
		n.kind = textInput
	case m&^(markNoise|markToken|markUsage|markDetails) == markOther|markOutput:
		n.kind = textOutput
	case m&^(markNoise|markToken|markUsage|markDetails|markInput|markRead) == markOther|markCache:
		n.kind, n.rank = cacheRead, rankPart
	case has(markOther):
		n.kind = ignored
	case has(markTier):
		n.kind, n.tier = ofTier(m), flexTier
		if slices.Contains(words, "priority") {
			n.tier = priorityTier
		}
	case has(markAudio | markImage):
		n.kind = modality(m)
	default:
		n.kind = ignored
		for _, r := range readings {
			if m&r.marks == r.marks {
				n.kind, n.flags = r.kind, n.flags|r.flagsOf(m, words)
				break
			}
		}
	}
	return n
}

// reading is what a name means that has all of the marks.
type reading struct {
	marks mark
	kind  kind
	flags func(m mark, words []string) flag // nil: none
}

// readings are the meanings of names, the more specific ones first.
var readings = []reading{
	{marks: markCache | markNot, kind: uncached},
	{marks: markNot, kind: unread},
	{marks: markLong, kind: cacheWrite1h},
	{marks: markShort, kind: cacheWrite5m},
	{marks: markWrite, kind: cacheWrite},
	{marks: markCache, kind: cacheRead},
	{marks: markRead, kind: unread},
	{marks: markReasoning, kind: reasoning, flags: reasoningFlags},
	{marks: markTool | markInput, kind: toolInput},
	{marks: markTool, kind: unread},
	{marks: markInput | markOutput, kind: unread},
	{marks: markInput, kind: input, flags: oldIf("prompt", "prompts")},
	{marks: markOutput, kind: output, flags: oldIf("completion", "completions")},
	{marks: markEval, kind: output, flags: oldIf("completion", "completions")},
	{marks: markTotal, kind: total},
	{marks: markToken, kind: bare},
	{marks: markUsage, kind: bare},
}

func (r reading) flagsOf(m mark, words []string) flag {
	if r.flags == nil {
		return 0
	}
	return r.flags(m, words)
}

func reasoningFlags(m mark, words []string) flag {
	var f flag
	if m&markThought != 0 {
		f |= beside
	}
	if slices.Contains(words, "details") { // of all usage: gen_ai.usage.details.thoughts_tokens
		f |= within
	}
	return f
}

// oldIf marks a name with one of the words as one of an older convention.
func oldIf(known ...string) func(mark, []string) flag {
	return func(_ mark, words []string) flag {
		if slices.ContainsFunc(words, func(word string) bool { return slices.Contains(known, word) }) {
			return old
		}
		return 0
	}
}

// saysResponse reports whether words count the tokens of a response, rather than something that it contains.
func saysResponse(words []string) bool {
	at := slices.Index(words, "response")
	return at >= 0 && at+1 < len(words) && vocabulary[words[at+1]] == markToken
}

// ofTier returns the kind of a count whose name has a service tier in it, as in LangChain: parts that are counted
// separately have a count with the tier too, and the tier alone counts the rest.
func ofTier(m mark) kind {
	switch {
	case m&markCache != 0 && m&markWrite != 0:
		return cacheWrite
	case m&markCache != 0:
		return cacheRead
	case m&markReasoning != 0:
		return reasoning
	case m&markInput != 0:
		return uncached
	case m&markOutput != 0:
		return textOutput
	}
	return ignored
}

// costOf returns the kind of a cost, or ignored for a part of a cost that is not used.
func costOf(m mark, known bool) kind {
	switch {
	case !known || m&markDetails != 0 && m&(markInput|markOutput) != 0 || m&(markIgnored|markCache|markReasoning|markAudio|markImage|markOther|markTool|markNot|markRead|markWrite) != 0:
		return ignored
	case m&markUpstream != 0:
		if m&(markInput|markOutput) != 0 {
			return ignored
		}
		return costUpstream
	case m&markInput != 0:
		return costInput
	case m&markOutput != 0:
		return costOutput
	}
	return cost
}

func modality(m mark) kind {
	audio := m&markAudio != 0
	switch {
	case m&markCache != 0:
		if audio && m&(markWrite|markNot) == 0 {
			return audioCacheRead
		}
	case m&markInput != 0 && audio:
		return audioInput
	case m&markInput != 0:
		return imageInput
	case m&markOutput != 0 && audio:
		return audioOutput
	case m&markOutput != 0:
		return imageOutput
	}
	return ignored
}
