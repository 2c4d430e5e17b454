package mock

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"strconv"
)

func converse(c *call) reply {
	content, stop := o{"text": c.answer()}, "end_turn"
	if config := object(c.request["toolConfig"]); c.loop && c.step == 1 && len(list(config["tools"])) > 0 {
		name := text(object(object(list(config["tools"])[0])["toolSpec"])["name"])
		content, stop = o{"toolUse": o{"toolUseId": "tooluse_" + c.id, "name": name, "input": o{"city": "Paris"}}}, "tool_use"
	}
	return reply{model: c.r.PathValue("model"), used: anthropicTokens, body: o{
		"output": o{"message": o{"role": "assistant", "content": []any{content}}}, "stopReason": stop, "metrics": o{"latencyMs": 5}, "usage": bedrockUsage(),
	}}
}

func bedrockUsage() o {
	return o{
		"inputTokens": inputTokens - cacheReadTokens - cacheWriteTokens, "outputTokens": outputTokens, "totalTokens": inputTokens + outputTokens,
		"cacheReadInputTokens": cacheReadTokens, "cacheWriteInputTokens": cacheWriteTokens,
	}
}

func converseStream(c *call) reply {
	given := reply{model: c.r.PathValue("model"), used: anthropicTokens, format: awsFrames}
	send := func(kind string, e o) { given.events = append(given.events, event{kind, e}) }
	send("messageStart", o{"role": "assistant"})
	for _, part := range halves(c.answer()) {
		send("contentBlockDelta", o{"contentBlockIndex": 0, "delta": o{"text": part}})
	}
	send("contentBlockStop", o{"contentBlockIndex": 0})
	send("messageStop", o{"stopReason": "end_turn"})
	send("metadata", o{"usage": bedrockUsage(), "metrics": o{"latencyMs": 5}})
	return given
}

// invoke responds as an Anthropic model without a cache: Bedrock's headers have no cache counts.
func invoke(c *call) reply {
	c.request["model"] = c.r.PathValue("model")
	given := message(c)
	given.used = plainTokens
	given.body.(o)["usage"] = o{"input_tokens": inputTokens, "output_tokens": outputTokens}
	given.header = http.Header{}
	given.header.Set("X-Amzn-Bedrock-Input-Token-Count", strconv.Itoa(inputTokens))
	given.header.Set("X-Amzn-Bedrock-Output-Token-Count", strconv.Itoa(outputTokens))
	return given
}

// invokeStream wraps each of Anthropic's events in a chunk. The last one has Bedrock's counts too.
func invokeStream(c *call) reply {
	c.request["model"], c.request["stream"] = c.r.PathValue("model"), true
	given := message(c)
	given.format = awsFrames
	last := given.events[len(given.events)-1].data.(o)
	last["amazon-bedrock-invocationMetrics"] = o{
		"inputTokenCount": inputTokens - cacheReadTokens - cacheWriteTokens, "outputTokenCount": outputTokens, "invocationLatency": 5, "firstByteLatency": 2,
		"cacheReadInputTokenCount": cacheReadTokens, "cacheWriteInputTokenCount": cacheWriteTokens,
	}
	for i, e := range given.events {
		encoded, err := json.Marshal(e.data)
		if err != nil {
			panic(err) // values of this package can be encoded
		}
		given.events[i] = event{"chunk", o{"bytes": base64.StdEncoding.EncodeToString(encoded)}}
	}
	return given
}

// awsFrame returns an event in the stream format of AWS.
func awsFrame(kind string, payload []byte) []byte {
	var headers []byte
	for _, h := range [][2]string{{":event-type", kind}, {":content-type", "application/json"}, {":message-type", "event"}} {
		headers = append(headers, byte(len(h[0])))
		headers = append(headers, h[0]...)
		headers = append(headers, 7) // a string
		headers = binary.BigEndian.AppendUint16(headers, uint16(len(h[1])))
		headers = append(headers, h[1]...)
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(16+len(headers)+len(payload)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(headers)))
	frame = binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
	frame = append(append(frame, headers...), payload...)
	return binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
}
