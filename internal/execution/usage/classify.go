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
	case has(markCache) && has(markNot):
		n.kind = uncached
	case has(markNot):
		n.kind = unread
	case has(markLong):
		n.kind = cacheWrite1h
	case has(markShort):
		n.kind = cacheWrite5m
	case has(markWrite):
		n.kind = cacheWrite
	case has(markCache):
		n.kind = cacheRead
	case has(markRead):
		n.kind = unread
	case has(markReasoning):
		n.kind = reasoning
		if has(markThought) {
			n.flags |= beside
		}
		if slices.Contains(words, "details") { // of all usage: gen_ai.usage.details.thoughts_tokens
			n.flags |= within
		}
	case has(markTool) && has(markInput):
		n.kind = toolInput
	case has(markTool), has(markInput) && has(markOutput):
		n.kind = unread
	case has(markInput):
		n.kind = input
		if slices.Contains(words, "prompt") || slices.Contains(words, "prompts") {
			n.flags |= old
		}
	case has(markOutput | markEval):
		n.kind = output
		if slices.Contains(words, "completion") || slices.Contains(words, "completions") {
			n.flags |= old
		}
	case has(markTotal):
		n.kind = total
	case has(markToken | markUsage):
		n.kind = bare
	default:
		n.kind = ignored
	}
	return n
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
