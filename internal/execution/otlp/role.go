package otlp

import (
	"slices"
	"strings"
)

// roleNames are the attributes that name a span's role, in order of precedence.
var roleNames = []string{
	"gen_ai.operation.name", "llm.request.type", "traceloop.span.kind", "openinference.span.kind", "ai.operationId",
	"langfuse.observation.type", "mlflow.spanType", "genkit:metadata:subtype", "langsmith.span.kind", "spring.ai.kind",
	"mastra.span.type",
}

// roleSuffixes end the names of attributes that name a span's role in unknown dialects.
var roleSuffixes = []string{".span.kind", ".span.type", "spanType", "observation.type", ":subtype", ".run_type"}

// clues are what shows a span's role.
type clues struct {
	name, scope string
	*attributes
	hasModel bool
}

// roleRules find a span's role. The first rule that knows it decides.
var roleRules = [...]func(clues) (found role, known bool){
	clues.roleOfNamed,
	clues.roleOfHaystack,
	clues.roleOfLogfire,
	clues.roleOfOtherDialect,
	clues.roleOfType,
	clues.roleOfContents,
	clues.roleOfModelInName,
	clues.roleOfName,
}

// roleOf returns a span's role, and whether it is known.
func roleOf(name, scope string, a *attributes) (found role, known bool) {
	c := clues{name, scope, a, a.has(modelNames...)}
	for _, rule := range roleRules {
		if found, known = rule(c); known {
			return found, true
		}
	}
	return bystander, false
}

// roleOfNamed reads the attributes that name a role.
func (c clues) roleOfNamed() (found role, known bool) {
	for _, attribute := range roleNames {
		word := c.text(attribute)
		if word == "" {
			continue
		}
		found, known = roleOfWord(word, c.hasModel)
		switch {
		case known && found == modelCall && (isLocalHelper(c.name, c.attributes) || countsTokens(c.name)):
			return bystander, true
		case known:
			return found, true
		case countsTokens(word):
			return bystander, true
		}
	}
	return bystander, false
}

// roleOfOtherDialect reads attributes that are named like those that name a role.
func (c clues) roleOfOtherDialect() (found role, known bool) {
	if c.traits&namesRole == 0 {
		return bystander, false
	}
	for _, pair := range c.pairs {
		if traitsOf.Get(pair.GetKey()).set&namesRole == 0 {
			continue
		}
		if found, known = roleOfWord(textOf(pair.GetValue()), c.hasModel); known {
			return found, true
		}
	}
	return bystander, false
}

// roleOfContents finds the role of a span that no attribute names. A span with a model and token counts is a model call;
// so is one with a model and a provider, unless an attribute names an unknown role.
func (c clues) roleOfContents() (found role, known bool) {
	switch {
	case c.hasModel && (counted(c.attributes) || (c.has(providerNames...) || namesCall(c.name)) && !c.namesUnknownRole()) && !runsNoModel(c.name, c.attributes):
		return modelCall, true
	case (roleWords[c.name] == modelCall || namesCall(c.name)) && counted(c.attributes) && !c.namesUnknownRole(): // vLLM's llm_request may name no model
		return modelCall, true
	case c.has("gen_ai.tool.name") && !c.hasModel && !c.namesUnknownRole():
		return toolUse, true
	}
	return bystander, false
}

// namesUnknownRole reports whether a span whose role no attribute names has an attribute that only spans with a role
// have.
func (c clues) namesUnknownRole() bool {
	return c.text("gen_ai.operation.name", "traceloop.span.kind") != ""
}

// roleOfModelInName finds model calls by names of an operation and a model, as in completion gpt-4o.
func (c clues) roleOfModelInName() (found role, known bool) {
	operation, model, _ := strings.Cut(c.name, " ")
	isCall := c.hasModel && roleWords[operation] == modelCall && namesModel(c.attributes, model) && !c.namesUnknownRole()
	return modelCall, isCall
}

// namesModel reports whether name, as in completion gpt-4o, is a model that an attribute names too.
func namesModel(a *attributes, name string) bool {
	return slices.ContainsFunc(modelNames, func(attribute string) bool { return name != "" && a.text(attribute) == name })
}

// roleOfType reads attributes that other systems use too, such as span.type, which VoltAgent sets. They count only
// together with what such a span has: a model, a tool's name, or an agent's state.
func (c clues) roleOfType() (found role, known bool) {
	word := c.text("span.type", "span.kind")
	if word == "" {
		word = c.text("entity.type")
	}
	if word == "" {
		return bystander, false
	}
	switch found, known = roleOfWord(word, c.hasModel); found {
	case modelCall:
		known = c.hasModel
	case toolUse:
		known = c.has(toolNames...)
	case agentRun, chain:
		known = c.traits&isGenerative != 0 || c.has("agent.state", "agent.name")
	case bystander:
	}
	if !known {
		return bystander, false
	}
	return found, true
}

// namesCall reports whether the last part of a span's name is a word for a call, as in sagemaker.completion.
func namesCall(name string) bool {
	end := strings.LastIndexByte(name, '.')
	return end > 0 && roleWords[name[end+1:]] == modelCall
}

// countsTokens reports whether a name is that of a request that counts the tokens of a prompt without running a model.
func countsTokens(name string) bool {
	if !strings.Contains(name, "oun") && !strings.Contains(name, "OUN") { // most names
		return false
	}
	for after, found := strings.ToLower(name), true; found; {
		if _, after, found = strings.Cut(after, "count"); found && strings.HasPrefix(strings.TrimLeft(after, "_- ."), "token") {
			return true
		}
	}
	return false
}

// roleOfName returns the role of a span without specific attributes, if its name follows OpenTelemetry's conventions.
// Instrumentations set most attributes when there is a response, so failed calls lack them.
func (c clues) roleOfName() (found role, known bool) {
	if c.traits&isOwn != 0 || !callsModels(c.scope) {
		return bystander, false
	}
	operation, _, named := strings.Cut(c.name, " ")
	switch {
	case named && (operation == "invoke_agent" || operation == "invoke_workflow"):
		return agentRun, true
	case named && operation == "execute_tool":
		return toolUse, true
	case c.name == "call_llm", modelInName(c.name) != "":
		return modelCall, true
	}
	return bystander, false
}

// modelInName returns the model in a span's name of the form "operation model", as in OpenTelemetry's conventions: chat
// gpt-4o.
func modelInName(name string) string {
	operation, model, _ := strings.Cut(name, " ")
	switch operation {
	case "chat", "text_completion", "generate_content", "embeddings":
		if !strings.ContainsAny(model, " \t{") {
			return model
		}
	}
	return ""
}

// modelScopes are words in the names of instrumentations of model calls.
var modelScopes = []string{
	"openlit", "traceloop", "openinference", "genai", "gen_ai", "llm", "openai", "anthropic", "bedrock", "vertex", "gemini", "mistral",
	"cohere", "groq", "ollama", "together", "replicate", "watsonx", "huggingface", "langchain", "langgraph",
}

func callsModels(scope string) bool {
	scope = strings.ToLower(scope)
	return slices.ContainsFunc(modelScopes, func(word string) bool { return strings.Contains(scope, word) })
}

// roleOfWord returns the role that a word means. Unknown words have a role if they are formed like known ones.
func roleOfWord(word string, hasModel bool) (found role, known bool) {
	if found, known = roleWords[word]; known {
		return found, true
	}
	word = strings.ToLower(word)
	if found, known = roleWords[word]; known {
		return found, true
	}
	switch {
	case hasModel && (strings.HasPrefix(word, "invoke_model") || strings.HasPrefix(word, "invoke_llm")):
		return modelCall, true
	case strings.HasPrefix(word, "invoke_"):
		return agentRun, true
	case strings.HasPrefix(word, "execute_") && (strings.Contains(word, "tool") || strings.Contains(word, "function")):
		return toolUse, true
	case strings.HasPrefix(word, "tool."): // Genkit's tool.v2
		return toolUse, true
	case hasModel && slices.ContainsFunc(callWords, func(part string) bool { return strings.Contains(word, part) }):
		return modelCall, true
	}
	return bystander, false
}

// callWords are parts of words for calls of models.
var callWords = []string{
	"chat", "generat", "embed", "completion", "rerank", "converse", "transcri", "speech", "translat", "classif", "moderat", "predict", "inference",
	"messages.create", "responses.create",
}

// roleOfLogfire returns the role of Logfire's spans of the OpenAI Agents SDK, which only their names show.
func (c clues) roleOfLogfire() (found role, known bool) {
	switch {
	case !strings.HasPrefix(c.scope, "logfire"):
	case strings.HasPrefix(c.name, "OpenAI Agents trace:"), strings.HasPrefix(c.name, "Agent run:"):
		return agentRun, true
	case strings.HasPrefix(c.name, "Function:") && c.has("name"):
		return toolUse, true
	}
	return bystander, false
}

func counted(a *attributes) bool {
	if a.traits&carriesUsage == 0 {
		return false
	}
	for _, pair := range a.pairs {
		if traitsOf.Get(pair.GetKey()).usage.Counts(pair.GetValue().GetStringValue()) {
			return true
		}
	}
	return false
}

// isLocalHelper reports whether a span is a function of a library that only prepares a call: its name is private, as in
// OpenAI._prepare_chat_with_tools, and it used no tokens.
func isLocalHelper(name string, a *attributes) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return len(last) < len(name) && strings.HasPrefix(last, "_") && !strings.HasPrefix(last, "__") && !counted(a)
}

// helperWords occur in the names and routes of requests to a provider that run no model.
var helperWords = []string{
	"tokenize", "sessions", "models.", "/models", "batches", "files", "vector_stores", "fine_tun",
}

// runsNoModel reports whether an SDK's span is of a request that runs no model, although it names one.
func runsNoModel(name string, a *attributes) bool {
	route := a.text("http.route", "url.path", "url.template")
	if countsTokens(name) || countsTokens(route) {
		return true
	}
	name, route = strings.ToLower(name), strings.ToLower(route)
	for _, word := range helperWords {
		// Google's routes have the form /models/MODEL:METHOD.
		if strings.Contains(name, word) || strings.Contains(route, word) && !strings.Contains(route, ":generate") && !strings.Contains(route, ":embed") {
			return true
		}
	}
	return false
}

// generative are the prefixes of attributes that only instrumentations of generative AI set.
var generative = []string{
	"gen_ai.", "llm.", "langfuse.", "mlflow.", "genkit:", "ai.", "openinference.", "traceloop.", "langsmith.", "mastra.",
	"gcp.vertex.agent.", "pydantic_ai.", "spring.ai.", "haystack.",
}

// isContext reports whether an attribute names the owner of a span. Instrumentations set such attributes on spans of
// any kind.
func isContext(name string) bool {
	return strings.HasPrefix(name, "gen_ai.agent.") || name == "gen_ai.conversation.id" || name == "gen_ai.workflow.name" ||
		strings.Contains(name, "association.") || strings.Contains(name, "metadata.") || strings.HasPrefix(name, "langfuse.trace.") ||
		name == "traceloop.workflow.name" || name == "traceloop.entity.path" || name == "llm.user" || name == "gen_ai.user"
}
