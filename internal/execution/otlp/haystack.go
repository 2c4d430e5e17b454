package otlp

import "strings"

// haystackRoles are the spans of Haystack's own tracing, which say what they are in their names.
var haystackRoles = map[string]role{
	"haystack.pipeline.run": chain, "haystack.async_pipeline.run": chain,
	"haystack.agent.run": agentRun, "haystack.agent.step.llm": modelCall, "haystack.agent.step.tool": toolUse,
}

// haystackType is the class of a component.
const haystackType = "haystack.component.type"

// roleOfHaystack returns the role of a span of Haystack's own tracing. Of its components those call models whose classes are named for
// it; the names end alike for every provider.
func roleOfHaystack(name string, a *attributes) (found role, known bool) {
	if !strings.HasPrefix(name, "haystack.") {
		return bystander, false
	}
	if found, known = haystackRoles[name]; known {
		return found, true
	}
	if name == "haystack.component.run" {
		class := a.text(haystackType)
		for _, end := range []string{"Generator", "Embedder", "Ranker"} {
			if strings.HasSuffix(class, end) && class != "TransformersSimilarityRanker" {
				return modelCall, true
			}
		}
		return bystander, true
	}
	return bystander, strings.HasPrefix(name, "haystack.agent.")
}

// haystackModel is the model that a reply says it is of. Nothing else names it, and only where content is traced.
func (s *span) haystackModel() string {
	for _, name := range []string{"haystack.component.output", "haystack.agent.step.llm.output"} {
		text := s.attributes.value(name).GetStringValue()
		_, after, found := strings.Cut(text[:min(len(text), maxAnswer)], `"meta": {"model": "`)
		if model, _, ends := strings.Cut(after, `"`); found && ends {
			return model
		}
	}
	return ""
}
