package mock

import (
	"encoding/json"
	"strings"
)

var anthropicTokens = Tokens{Input: inputTokens, Output: outputTokens, CacheRead: cacheReadTokens, CacheWrite: cacheWriteTokens}

func message(c *call) reply {
	model := c.text("model")
	given := reply{model: model, used: anthropicTokens}
	usage := func(output int) o {
		return o{
			"input_tokens": inputTokens - cacheReadTokens - cacheWriteTokens, "output_tokens": output,
			"cache_read_input_tokens": cacheReadTokens, "cache_creation_input_tokens": cacheWriteTokens,
			"cache_creation": o{"ephemeral_5m_input_tokens": cacheWriteTokens, "ephemeral_1h_input_tokens": 0}, "service_tier": "standard",
		}
	}
	name, arguments, calls := c.wanted()
	content, stop := o{"type": "text", "text": c.answer()}, "end_turn"
	if calls {
		content, stop = o{"type": "tool_use", "id": "toolu_" + c.id, "name": name, "input": json.RawMessage(arguments)}, "tool_use"
	}
	body := o{"id": "msg_" + c.id, "type": "message", "role": "assistant", "model": model, "content": []any{content}, "stop_reason": stop, "stop_sequence": nil, "usage": usage(outputTokens)}
	if !c.streams() {
		given.body = body
		return given
	}
	send := func(name string, e o) {
		e["type"] = name
		given.events = append(given.events, event{name, e})
	}
	send("message_start", o{"message": o{"id": "msg_" + c.id, "type": "message", "role": "assistant", "model": model, "content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": usage(1)}})
	if calls {
		send("content_block_start", o{"index": 0, "content_block": o{"type": "tool_use", "id": "toolu_" + c.id, "name": name, "input": o{}}})
		send("content_block_delta", o{"index": 0, "delta": o{"type": "input_json_delta", "partial_json": arguments}})
	} else {
		send("content_block_start", o{"index": 0, "content_block": o{"type": "text", "text": ""}})
		for _, part := range halves(c.answer()) {
			send("content_block_delta", o{"index": 0, "delta": o{"type": "text_delta", "text": part}})
		}
	}
	send("content_block_stop", o{"index": 0})
	send("message_delta", o{"delta": o{"stop_reason": stop, "stop_sequence": nil}, "usage": o{"output_tokens": outputTokens}})
	send("message_stop", o{})
	return given
}

func generateContent(c *call) reply {
	model, method, _ := strings.Cut(c.r.PathValue("call"), ":")
	if strings.Contains(strings.ToLower(method), "embed") {
		return reply{model: model, used: Tokens{Input: embeddingTokens}, body: o{
			"embeddings": []any{o{"values": []float64{0.1, 0.2}}}, "embedding": o{"values": []float64{0.1, 0.2}}, "usageMetadata": o{"promptTokenCount": embeddingTokens},
		}}
	}
	given := reply{model: model, used: openAITokens}
	part := o{"text": c.answer()}
	if name, arguments, calls := c.wanted(); calls {
		part = o{"functionCall": o{"name": name, "args": json.RawMessage(arguments)}}
	}
	body := func(part o, finish any) o {
		candidate := o{"index": 0, "content": o{"role": "model", "parts": []any{part}}}
		if finish != nil {
			candidate["finishReason"] = finish
		}
		return o{
			"candidates": []any{candidate}, "modelVersion": model, "responseId": "gem_" + c.id,
			"usageMetadata": o{
				"promptTokenCount": inputTokens, "candidatesTokenCount": outputTokens - reasoningTokens, "thoughtsTokenCount": reasoningTokens,
				"cachedContentTokenCount": cacheReadTokens, "totalTokenCount": inputTokens + outputTokens,
			},
		}
	}
	if !strings.HasPrefix(method, "stream") {
		given.body = body(part, "STOP")
		return given
	}
	if part["text"] == nil {
		given.events = []event{{data: body(part, "STOP")}}
		return given
	}
	parts := halves(c.answer())
	given.events = []event{{data: body(o{"text": parts[0]}, nil)}, {data: body(o{"text": parts[1]}, "STOP")}}
	return given
}
