package otlp

// Attribute names by instrumentation, in order of precedence. OpenTelemetry's own conventions come first, current names
// before those that they replaced; then OpenLLMetry (traceloop, llm), OpenInference (llm, agent, input, output) and the
// AI SDK (ai). None of OpenTelemetry's are stable yet, so old names are still read.
var (
	agentNames = []string{
		"gen_ai.agent.name", "gen_ai.workflow.name",
		"agent.name",              // OpenInference
		"ai.telemetry.functionId", // the AI SDK, which uses gen_ai.agent.name since its version 7
	}
	// traceloopNames name a step, a tool or an agent, depending on the span. They are used only for agents.
	traceloopNames = []string{"traceloop.entity.name", "traceloop.workflow.name", "entity.name"}

	sessionNames = []string{
		"gen_ai.conversation.id", "session.id",
		"spring.ai.chat.client.conversation.id",
	}
	userNames = []string{
		"user.id", "enduser.id", "gen_ai.user", "llm.user", "enduser.pseudo.id",
		"gen_ai.request.user",
	}
	requestNames  = []string{"gen_ai.response.id", "ai.response.id"}
	providerNames = []string{"gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"}
	modelNames    = []string{
		"gen_ai.response.model", "gen_ai.request.model",
		"llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name", "reranker.model_name",
		"ai.response.model", "ai.model.id",
		"langfuse.observation.model.name", "mlflow.llm.model", "llm.model",
	}
	requestModelNames = []string{"gen_ai.request.model", "llm.request.model_name", "ai.model.id"}
	toolNames         = []string{"gen_ai.tool.name", "tool.name", "ai.toolCall.name", "spring.ai.tool.definition.name", "haystack.tool.name", "traceloop.entity.name"}
)

// role is what a span represents.
type role int

const (
	bystander role = iota // not an execution: it lies between executions, and may name their agent, user or session
	agentRun
	chain // OpenInference's name for an application, and for every step in it
	modelCall
	toolUse
)

// roleWords are the attribute values that name a span's role, in lower case except for the AI SDK's.
var roleWords = map[string]role{
	"chat": modelCall, "text_completion": modelCall, "generate_content": modelCall, "embeddings": modelCall,
	"completion": modelCall, "embedding": modelCall, "rerank": modelCall, "responses": modelCall,
	"image_generation": modelCall, "llm_request": modelCall, "llm": modelCall, "generation": modelCall,
	"chat_model": modelCall, "reranker": modelCall, "model": modelCall, "embedder": modelCall, "embed": modelCall,
	"model_generation": modelCall, "embed_content": modelCall,

	"invoke_agent": agentRun, "invoke_workflow": agentRun, "workflow": agentRun, "agent": agentRun, "agent_run": agentRun,
	"workflow_run": agentRun, "chat_client": agentRun, "crew": agentRun,

	"chain": chain, "flow": chain,

	"execute_tool": toolUse, "tool": toolUse, "tool_call": toolUse, "mcp_tool_call": toolUse, "function": toolUse,

	"create_agent": bystander, // nothing runs: it is registered with a provider
	"plan":         bystander, // a phase of an agent's run
	"agent_step":   bystander, // the AI SDK's name for a phase
	"execute_task": bystander, // OpenLLMetry
	"retrieval":    bystander, "retriever": bystander, "vector_db_retrieve": bystander,
	"guardrail": bystander, "evaluator": bystander, "prompt": bystander, "parser": bystander, "handoff": bystander,
	"advisor": bystander, "vector_store": bystander, "span": bystander, "event": bystander,
	"create_memory": bystander, "create_memory_store": bystander, "delete_memory": bystander,
	"delete_memory_store": bystander, "search_memory": bystander, "update_memory": bystander, "upsert_memory": bystander,

	"ai.generateText": agentRun, "ai.streamText": agentRun, "ai.generateObject": agentRun, "ai.streamObject": agentRun,
	"ai.embed": agentRun, "ai.embedMany": agentRun, "ai.rerank": agentRun,

	"ai.generateText.doGenerate": modelCall, "ai.streamText.doStream": modelCall,
	"ai.generateObject.doGenerate": modelCall, "ai.streamObject.doStream": modelCall,
	"ai.embed.doEmbed": modelCall, "ai.embedMany.doEmbed": modelCall, "ai.rerank.doRerank": modelCall,

	"ai.toolCall": toolUse,
}
