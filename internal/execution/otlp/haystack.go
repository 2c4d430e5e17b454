package otlp

import "strings"

// haystackRoles are the roles of Haystack's spans by name.
var haystackRoles = map[string]role{
	"haystack.pipeline.run": chain, "haystack.async_pipeline.run": chain,
	"haystack.agent.run": agentRun, "haystack.agent.step.llm": modelCall, "haystack.agent.step.tool": toolUse,
}

// haystackType is the attribute with the class of a component.
const haystackType = "haystack.component.type"

// roleOfHaystack returns the role of a span of Haystack's tracing. Components that call models are recognized by the
// class name's suffix, which is the same for every provider.
func (c clues) roleOfHaystack() (found role, known bool) {
	if !strings.HasPrefix(c.name, "haystack.") {
		return bystander, false
	}
	if found, known = haystackRoles[c.name]; known {
		return found, true
	}
	if c.name == "haystack.component.run" {
		class := c.text(haystackType)
		for _, end := range []string{"Generator", "Embedder", "Ranker"} {
			if strings.HasSuffix(class, end) && class != "TransformersSimilarityRanker" {
				return modelCall, true
			}
		}
		return bystander, true
	}
	return bystander, strings.HasPrefix(c.name, "haystack.agent.")
}

// haystackModel returns the model that a reply names. No other attribute has it, and this one only if content is
// traced.
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
