package mock

import (
	"encoding/json"
	"strings"
)

// tool is a tool that the client offers.
type tool struct {
	name   string
	schema map[string]any
}

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func list(v any) []any            { l, _ := v.([]any); return l }
func text(v any) string           { t, _ := v.(string); return t }

// offered returns the tools of a request of any provider.
func (c *call) offered() (tools []tool) {
	for _, entry := range list(c.request["tools"]) {
		o := object(entry)
		if f := object(o["function"]); f != nil {
			o = f
		}
		for _, d := range append(list(o["functionDeclarations"]), list(o["function_declarations"])...) {
			tools = append(tools, tool{text(object(d)["name"]), schemaOf(object(d))})
		}
		if name := text(o["name"]); name != "" {
			tools = append(tools, tool{name, schemaOf(o)})
		}
	}
	return tools
}

func schemaOf(o map[string]any) map[string]any {
	for _, name := range []string{"parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema"} {
		if m := object(o[name]); m != nil {
			return m
		}
	}
	return nil
}

// wanted returns the tool that the model calls and its arguments: first the weather's, then, if the framework ends its
// runs with a tool, the final answer. A tool that the client requires is always called.
func (c *call) wanted() (name, arguments string, ok bool) {
	tools := c.offered()
	if forced := object(c.request["tool_choice"]); forced["name"] != nil || forced["function"] != nil || text(forced["type"]) == "any" || c.text("tool_choice") == "required" && len(tools) == 1 {
		for _, t := range tools {
			if n := text(object(forced["function"])["name"]); n == t.name || text(forced["name"]) == t.name || len(tools) == 1 {
				return t.name, filled(t.schema), true
			}
		}
	}
	if !c.loop {
		return "", "", false
	}
	for _, t := range tools {
		final := strings.HasPrefix(t.name, "final_answer") || t.name == "final_result"
		if c.step == 1 && strings.Contains(t.name, "weather") || c.step > 1 && final {
			return t.name, filled(t.schema), true
		}
	}
	return "", "", false
}

// filled returns arguments that match a schema.
func filled(schema map[string]any) string {
	if schema == nil {
		schema = map[string]any{"properties": map[string]any{"city": map[string]any{}}}
	}
	encoded, err := json.Marshal(fill(schema, 0))
	if err != nil {
		panic(err) // they are strings, numbers and booleans
	}
	return string(encoded)
}

func fill(schema map[string]any, depth int) any {
	switch {
	case depth > 8:
		return nil
	case schema["properties"] != nil || text(schema["type"]) == "object" || text(schema["type"]) == "OBJECT":
		made := map[string]any{}
		for name, p := range object(schema["properties"]) {
			made[name] = fill(object(p), depth+1)
			if name == "city" {
				made[name] = "Paris"
			}
		}
		return made
	}
	switch strings.ToLower(text(schema["type"])) {
	case "integer", "number":
		return 21
	case "boolean":
		return true
	case "array":
		return []any{}
	}
	return Answer
}

// answer returns the text that the model writes, in the requested format.
func (c *call) answer() string {
	if f := object(c.request["response_format"]); text(f["type"]) == "json_schema" {
		return filled(object(object(f["json_schema"])["schema"]))
	}
	if f := object(object(c.request["text"])["format"]); text(f["type"]) == "json_schema" {
		return filled(object(f["schema"]))
	}
	if strings.Contains(c.raw, "[[ ## answer ## ]]") { // for DSPy
		return "[[ ## reasoning ## ]]\nThe sky.\n\n[[ ## answer ## ]]\n" + Answer + "\n\n[[ ## completed ## ]]"
	}
	return Answer
}

// halves splits a text in two, for a stream.
func halves(s string) [2]string { return [2]string{s[:len(s)/2], s[len(s)/2:]} }
