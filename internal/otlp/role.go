package otlp

import "strings"

// roleOf finds out what a span stands for.
func roleOf(a attributes) role {
	for _, says := range []struct {
		name   string
		values map[string]role
	}{
		{"gen_ai.operation.name", operations},
		{"llm.request.type", requestTypes},
		{"traceloop.span.kind", traceloopKinds},
		{"openinference.span.kind", openInferenceKinds},
		{"ai.operationId", aiOperations},
	} {
		value := a.text(says.name)
		if found, known := says.values[value]; known {
			return found
		}
		if found, known := says.values[strings.ToLower(value)]; known {
			return found
		}
	}
	// An operation of a name that is not known, or none. Whatever names its model and counts its tokens is a call of it; a
	// provider does as well, where nothing says that it is a step of another kind.
	counted := a.has(inputTokens...) || a.has(outputTokens...) || a.has(totalTokens...)
	described := a.has("gen_ai.operation.name", "traceloop.span.kind")
	switch {
	case a.has(modelNames...) && (counted || !described && a.has(providerNames...)):
		return modelCall
	case a.has("gen_ai.tool.name") && !a.has(modelNames...) && !described:
		return toolUse
	}
	return bystander
}
