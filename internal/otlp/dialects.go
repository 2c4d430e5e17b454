package otlp

// What instrumentations call things, the first that is there counts. OpenTelemetry's own conventions come first, the newest
// names before those that they replaced; then OpenLLMetry (traceloop, llm), OpenInference (llm, agent, input, output) and
// the AI SDK (ai). None of OpenTelemetry's is stable yet, so old names go on being read.
var (
	agentNames = []string{
		"gen_ai.agent.name", "gen_ai.workflow.name",
		"agent.name",              // OpenInference
		"ai.telemetry.functionId", // the AI SDK, which calls it gen_ai.agent.name itself since its version 7
	}
	// traceloopNames are those of a step, a tool or an agent, whatever the span is. Only an agent's is an agent's name.
	traceloopNames = []string{"traceloop.entity.name", "traceloop.workflow.name"}

	sessionNames = []string{
		"gen_ai.conversation.id", "session.id",
		"traceloop.association.properties.session_id", "traceloop.association.properties.sessionId",
		"ai.telemetry.metadata.sessionId", "ai.telemetry.metadata.session_id", "ai.settings.context.sessionId",
	}
	userNames = []string{
		"user.id", "enduser.id", "gen_ai.user", "llm.user", "enduser.pseudo.id",
		"traceloop.association.properties.user_id", "traceloop.association.properties.userId",
		"ai.telemetry.metadata.userId", "ai.telemetry.metadata.user_id", "ai.settings.context.userId",
	}
	requestNames  = []string{"gen_ai.response.id", "ai.response.id"}
	providerNames = []string{"gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"}
	modelNames    = []string{
		"gen_ai.response.model", "gen_ai.request.model",
		"llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name", "reranker.model_name",
		"ai.response.model", "ai.model.id",
	}
	requestModelNames = []string{"gen_ai.request.model", "llm.request.model_name", "ai.model.id"}
	toolNames         = []string{"gen_ai.tool.name", "tool.name", "ai.toolCall.name", "traceloop.entity.name"}
)

// What counts tokens.
var (
	inputTokens = []string{
		"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens",
		"llm.token_count.prompt",
		"ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens",
	}
	outputTokens = []string{
		"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens",
		"llm.token_count.completion",
		"ai.usage.outputTokens", "ai.usage.completionTokens",
	}
	totalTokens = []string{
		"gen_ai.usage.total_tokens", "llm.usage.total_tokens",
		"llm.token_count.total",
		"ai.usage.totalTokens",
	}
	cacheReadTokens = []string{
		"gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "llm.usage.cache_read_input_tokens",
		"gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.input_tokens.cached",
		"llm.token_count.prompt_details.cache_read",
		"ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens",
	}
	cacheWriteTokens = []string{
		"gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
		"gen_ai.usage.cache_creation_input_tokens", "llm.usage.cache_creation_input_tokens",
		"gen_ai.usage.details.cache_write_tokens",
		"llm.token_count.prompt_details.cache_write",
		"ai.usage.inputTokenDetails.cacheWriteTokens",
	}
	reasoningTokens = []string{
		"gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "llm.usage.reasoning_tokens",
		"gen_ai.usage.details.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning",
		"llm.token_count.completion_details.reasoning",
		"ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens",
	}
)

// role is what a span stands for.
type role int

const (
	bystander role = iota // no execution: it stands between others, and may name who they belong to
	agentRun
	chain // OpenInference's name for an application, and for every step in it
	modelCall
	toolUse
)

// The values that say what a span is, by the attribute that has them.
var (
	operations = map[string]role{ // gen_ai.operation.name
		"chat": modelCall, "text_completion": modelCall, "generate_content": modelCall, "embeddings": modelCall,
		"completion": modelCall, "embedding": modelCall, "rerank": modelCall, "responses": modelCall,
		"image_generation": modelCall, "llm_request": modelCall, // OpenLLMetry

		"invoke_agent": agentRun, "invoke_workflow": agentRun,

		"execute_tool": toolUse,

		"create_agent": bystander, // nothing runs: it is registered with a provider
		"plan":         bystander, // a phase of an agent's run
		"agent_step":   bystander, // the AI SDK's name for one
		"execute_task": bystander, // OpenLLMetry's
		"retrieval":    bystander, "vector_db_retrieve": bystander,
		"create_memory": bystander, "create_memory_store": bystander, "delete_memory": bystander,
		"delete_memory_store": bystander, "search_memory": bystander, "update_memory": bystander, "upsert_memory": bystander,
	}
	requestTypes = map[string]role{ // llm.request.type
		"chat": modelCall, "completion": modelCall, "embedding": modelCall, "rerank": modelCall,
	}
	traceloopKinds = map[string]role{ // traceloop.span.kind, without "task" and "unknown", which say too little
		"workflow": agentRun, "agent": agentRun, "tool": toolUse,
	}
	openInferenceKinds = map[string]role{ // openinference.span.kind, in lower case
		"llm": modelCall, "embedding": modelCall, "reranker": modelCall,
		"agent": agentRun, "chain": chain, "tool": toolUse,
		"retriever": bystander, "guardrail": bystander, "evaluator": bystander, "prompt": bystander,
	}
	aiOperations = map[string]role{ // ai.operationId
		"ai.generateText": agentRun, "ai.streamText": agentRun, "ai.generateObject": agentRun, "ai.streamObject": agentRun,
		"ai.embed": agentRun, "ai.embedMany": agentRun, "ai.rerank": agentRun,

		"ai.generateText.doGenerate": modelCall, "ai.streamText.doStream": modelCall,
		"ai.generateObject.doGenerate": modelCall, "ai.streamObject.doStream": modelCall,
		"ai.embed.doEmbed": modelCall, "ai.embedMany.doEmbed": modelCall, "ai.rerank.doRerank": modelCall,

		"ai.toolCall": toolUse,
	}
)
