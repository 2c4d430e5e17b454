package mock

import "strings"

var openAITokens = Tokens{Input: inputTokens, Output: outputTokens, CacheRead: cacheReadTokens, Reasoning: reasoningTokens}

type o = map[string]any

// dated returns the model's name in the API's responses.
func dated(model string) string {
	switch model {
	case "gpt-4o":
		return "gpt-4o-2024-08-06"
	case "gpt-4o-mini":
		return "gpt-4o-mini-2024-07-18"
	}
	return model
}

func chatCompletion(c *call) reply {
	model := dated(c.text("model"))
	usage := o{
		"prompt_tokens": inputTokens, "completion_tokens": outputTokens, "total_tokens": inputTokens + outputTokens,
		"prompt_tokens_details":     o{"cached_tokens": cacheReadTokens, "audio_tokens": 0},
		"completion_tokens_details": o{"reasoning_tokens": reasoningTokens, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
	}
	given := reply{model: model, used: openAITokens}
	name, arguments, calls := c.wanted()
	message, finish := o{"role": "assistant", "content": c.answer(), "refusal": nil}, "stop"
	if calls {
		message, finish = o{"role": "assistant", "content": nil, "refusal": nil, "tool_calls": []any{
			o{"id": "call_" + c.id, "type": "function", "function": o{"name": name, "arguments": arguments}},
		}}, "tool_calls"
	}
	head := func(kind string) o {
		return o{"id": "chatcmpl-" + c.id, "object": kind, "created": 1_790_000_000, "model": model, "service_tier": "default", "system_fingerprint": "fp_1"}
	}
	if !c.streams() {
		given.body = head("chat.completion")
		given.body.(o)["choices"] = []any{o{"index": 0, "message": message, "logprobs": nil, "finish_reason": finish}}
		given.body.(o)["usage"] = usage
		return given
	}
	withUsage, _ := object(c.request["stream_options"])["include_usage"].(bool)
	chunk := func(delta o, finish any) {
		e := head("chat.completion.chunk")
		e["choices"] = []any{o{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}
		if withUsage {
			e["usage"] = nil
		}
		given.events = append(given.events, event{data: e})
	}
	if calls {
		chunk(o{"role": "assistant", "content": nil, "tool_calls": []any{o{"index": 0, "id": "call_" + c.id, "type": "function", "function": o{"name": name, "arguments": ""}}}}, nil)
		chunk(o{"tool_calls": []any{o{"index": 0, "function": o{"arguments": arguments}}}}, nil)
	} else {
		chunk(o{"role": "assistant", "content": ""}, nil)
		for _, part := range halves(c.answer()) {
			chunk(o{"content": part}, nil)
		}
	}
	chunk(o{}, finish)
	if strings.HasPrefix(c.r.URL.Path, "/openai/openai/") { // Groq always counts streams
		given.events[len(given.events)-1].data.(o)["x_groq"] = o{"id": "req_" + c.id, "usage": usage}
	}
	if withUsage {
		e := head("chat.completion.chunk")
		e["choices"], e["usage"] = []any{}, usage
		given.events = append(given.events, event{data: e})
	}
	given.events = append(given.events, event{data: "[DONE]"})
	return given
}

func response(c *call) reply {
	model := dated(c.text("model"))
	given := reply{model: model, used: openAITokens}
	name, arguments, calls := c.wanted()
	item := o{"id": "msg_" + c.id, "type": "message", "role": "assistant", "status": "completed", "content": []any{o{"type": "output_text", "text": c.answer(), "annotations": []any{}, "logprobs": []any{}}}}
	if calls {
		item = o{"id": "fc_" + c.id, "type": "function_call", "call_id": "call_" + c.id, "name": name, "arguments": arguments, "status": "completed"}
	}
	body := func(status string, output []any, usage any) o {
		return o{
			"id": "resp_" + c.id, "object": "response", "created_at": 1_790_000_000, "status": status, "model": model, "output": output, "usage": usage,
			"error": nil, "incomplete_details": nil, "instructions": nil, "metadata": o{}, "parallel_tool_calls": true, "temperature": 1, "top_p": 1,
			"tool_choice": "auto", "tools": []any{}, "text": o{"format": o{"type": "text"}}, "truncation": "disabled", "service_tier": "default",
		}
	}
	done := body("completed", []any{item}, o{
		"input_tokens": inputTokens, "output_tokens": outputTokens, "total_tokens": inputTokens + outputTokens,
		"input_tokens_details": o{"cached_tokens": cacheReadTokens}, "output_tokens_details": o{"reasoning_tokens": reasoningTokens},
	})
	if !c.streams() {
		given.body = done
		return given
	}
	sequence := 0
	send := func(name string, e o) {
		e["type"], e["sequence_number"] = name, sequence
		sequence++
		given.events = append(given.events, event{name, e})
	}
	send("response.created", o{"response": body("in_progress", []any{}, nil)})
	if calls {
		send("response.output_item.added", o{"output_index": 0, "item": o{"id": "fc_" + c.id, "type": "function_call", "call_id": "call_" + c.id, "name": name, "arguments": "", "status": "in_progress"}})
		send("response.function_call_arguments.delta", o{"item_id": "fc_" + c.id, "output_index": 0, "delta": arguments})
		send("response.function_call_arguments.done", o{"item_id": "fc_" + c.id, "output_index": 0, "name": name, "arguments": arguments})
	} else {
		send("response.output_item.added", o{"output_index": 0, "item": o{"id": "msg_" + c.id, "type": "message", "role": "assistant", "status": "in_progress", "content": []any{}}})
		send("response.content_part.added", o{"item_id": "msg_" + c.id, "output_index": 0, "content_index": 0, "part": o{"type": "output_text", "text": "", "annotations": []any{}}})
		for _, part := range halves(c.answer()) {
			send("response.output_text.delta", o{"item_id": "msg_" + c.id, "output_index": 0, "content_index": 0, "delta": part, "logprobs": []any{}})
		}
		send("response.output_text.done", o{"item_id": "msg_" + c.id, "output_index": 0, "content_index": 0, "text": c.answer(), "logprobs": []any{}})
		send("response.content_part.done", o{"item_id": "msg_" + c.id, "output_index": 0, "content_index": 0, "part": list(item["content"])[0]})
	}
	send("response.output_item.done", o{"output_index": 0, "item": item})
	send("response.completed", o{"response": done})
	return given
}

func embedding(c *call) reply {
	count := 1
	if several := list(c.request["input"]); len(several) > 0 {
		if _, isToken := several[0].(float64); !isToken {
			count = len(several)
		}
	}
	data := []any{}
	for i := range count {
		var vector any = []float64{0.1, 0.2, 0.3}
		if c.text("encoding_format") == "base64" {
			vector = "zczMPc3MTD6amZk+"
		}
		data = append(data, o{"object": "embedding", "index": i, "embedding": vector})
	}
	model := c.text("model")
	return reply{model: strings.TrimPrefix(model, "openai/"), used: Tokens{Input: embeddingTokens}, body: o{
		"object": "list", "data": data, "model": model, "usage": o{"prompt_tokens": embeddingTokens, "total_tokens": embeddingTokens},
	}}
}
