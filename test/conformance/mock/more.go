package mock

import (
	"encoding/json"
	"maps"
)

// Cohere and Ollama report no cache and no reasoning.
var plainTokens = Tokens{Input: inputTokens, Output: outputTokens}

func cohereChat(c *call) reply {
	given := reply{model: c.text("model"), used: plainTokens}
	counts := o{"input_tokens": inputTokens, "output_tokens": outputTokens}
	usage := o{"billed_units": counts, "tokens": counts}
	message, finish := o{"role": "assistant", "content": []any{o{"type": "text", "text": c.answer()}}}, "COMPLETE"
	if name, arguments, calls := c.wanted(); calls {
		message, finish = o{"role": "assistant", "tool_plan": "I look it up.", "tool_calls": []any{
			o{"id": "call_" + c.id, "type": "function", "function": o{"name": name, "arguments": arguments}},
		}}, "TOOL_CALL"
	}
	if !c.streams() {
		given.body = o{"id": "co-" + c.id, "finish_reason": finish, "message": message, "usage": usage}
		return given
	}
	send := func(kind string, e o) {
		e["type"] = kind
		given.events = append(given.events, event{kind, e})
	}
	send("message-start", o{"id": "co-" + c.id, "delta": o{"message": o{"role": "assistant", "content": []any{}, "tool_plan": "", "tool_calls": []any{}, "citations": []any{}}}})
	send("content-start", o{"index": 0, "delta": o{"message": o{"content": o{"type": "text", "text": ""}}}})
	for _, part := range halves(c.answer()) {
		send("content-delta", o{"index": 0, "delta": o{"message": o{"content": o{"text": part}}}})
	}
	send("content-end", o{"index": 0})
	send("message-end", o{"id": "co-" + c.id, "delta": o{"finish_reason": finish, "usage": usage}})
	given.events = append(given.events, event{data: "[DONE]"})
	return given
}

func cohereEmbed(c *call) reply {
	return reply{model: c.text("model"), used: Tokens{Input: embeddingTokens}, body: o{
		"id": "co-" + c.id, "response_type": "embeddings_by_type", "texts": list(c.request["texts"]), "embeddings": o{"float": []any{[]float64{0.1, 0.2}}},
		"meta": o{"api_version": o{"version": "2"}, "billed_units": o{"input_tokens": embeddingTokens}},
	}}
}

// cohereRerank is billed per search and not per token.
func cohereRerank(c *call) reply {
	return reply{model: c.text("model"), body: o{
		"id": "co-" + c.id, "results": []any{o{"index": 0, "relevance_score": 0.93}},
		"meta": o{"api_version": o{"version": "2"}, "billed_units": o{"search_units": 1}},
	}}
}

func ollamaChat(c *call) reply {
	message := func(text string) o { return o{"message": o{"role": "assistant", "content": text}} }
	whole := message(c.answer())
	if name, arguments, calls := c.wanted(); calls {
		whole = o{"message": o{"role": "assistant", "content": "", "tool_calls": []any{o{"function": o{"name": name, "arguments": json.RawMessage(arguments)}}}}}
	}
	return ollama(c, whole, message)
}

func ollamaGenerate(c *call) reply {
	part := func(text string) o { return o{"response": text} }
	return ollama(c, part(c.answer()), part)
}

// ollama streams lines of JSON unless the client disables it.
func ollama(c *call, whole o, part func(text string) o) reply {
	given := reply{model: c.text("model"), used: plainTokens, format: jsonLines}
	line := func(more o, done bool) o {
		l := o{"model": c.text("model"), "created_at": "2026-11-29T10:00:00Z", "done": done}
		maps.Copy(l, more)
		if done {
			maps.Copy(l, o{"done_reason": "stop", "total_duration": 9_000_000, "load_duration": 1_000_000, "prompt_eval_count": inputTokens, "prompt_eval_duration": 3_000_000, "eval_count": outputTokens, "eval_duration": 5_000_000})
		}
		return l
	}
	if stream, isBool := c.request["stream"].(bool); isBool && !stream {
		given.body = line(whole, true)
		return given
	}
	for _, text := range halves(c.answer()) {
		given.events = append(given.events, event{data: line(part(text), false)})
	}
	given.events = append(given.events, event{data: line(part(""), true)})
	return given
}

func ollamaEmbed(c *call) reply {
	return reply{model: c.text("model"), used: Tokens{Input: embeddingTokens}, body: o{
		"model": c.text("model"), "embeddings": []any{[]float64{0.1, 0.2}}, "total_duration": 9_000_000, "load_duration": 1_000_000, "prompt_eval_count": embeddingTokens,
	}}
}
