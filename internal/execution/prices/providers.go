package prices

import "strings"

// A provider has many names: aws.bedrock, aws_bedrock, amazon-bedrock, bedrock_converse. providerOf maps them to one by
// the word that they share.

// providerWords are looked for anywhere in a provider's name, reduced to its letters and digits. The first match wins,
// so that Azure OpenAI is Azure.
var providerWords = []struct{ word, provider string }{
	{"compatible", ""},
	{"openailike", ""}, // a protocol that anyone may speak
	{"litellm", ""},
	{"portkey", ""},
	{"helicone", ""},
	{"openrouter", "openrouter"},
	{"vercel", "vercel"},
	{"aigateway", ""},
	{"bedrock", "bedrock"},
	{"azure", "azure"},
	{"vertex", "vertex"},
	{"copilot", "github_copilot"},
	{"githubmodel", "github_models"},
	{"together", "together"},
	{"fireworks", "fireworks"},
	{"deepinfra", "deepinfra"},
	{"groq", "groq"},
	{"cerebras", "cerebras"},
	{"sambanova", "sambanova"},
	{"nebius", "nebius"},
	{"novita", "novita"},
	{"huggingface", "huggingface"},
	{"databricks", "databricks"},
	{"watsonx", "watsonx"},
	{"cloudflare", "cloudflare"},
	{"workersai", "cloudflare"},
	{"replicate", "replicate"},
	{"baseten", "baseten"},
	{"hyperbolic", "hyperbolic"},
	{"nscale", "nscale"},
	{"ovhcloud", "ovhcloud"},
	{"scaleway", "scaleway"},
	{"snowflake", "snowflake"},
	{"sagemaker", "sagemaker"},
	{"siliconflow", "siliconflow"},
	{"friendli", "friendli"},
	{"lambdaai", "lambda"},
	{"vllm", "vllm"},
	{"ollama", "ollama"},
	{"llamacpp", "llamacpp"},
	{"lmstudio", "lmstudio"},
	{"sglang", "sglang"},
	{"localai", "localai"},
	{"llamafile", "llamafile"},
	{"xinference", "xinference"},
	{"gpt4all", "gpt4all"},
	{"textgenerationinference", "tgi"},
	{"tensorrt", "tensorrt"},
	{"lemonade", "lemonade"},
	{"dashscope", "alibaba"},
	{"alibaba", "alibaba"},
	{"qwen", "alibaba"},
	{"modelstudio", "alibaba"},
	{"bailian", "alibaba"},
	{"moonshot", "moonshot"},
	{"zhipu", "zai"},
	{"bigmodel", "zai"},
	{"minimax", "minimax"},
	{"volcengine", "volcengine"},
	{"byteplus", "volcengine"},
	{"perplexity", "perplexity"},
	{"voyage", "voyage"},
	{"mistral", "mistral"},
	{"codestral", "mistral"},
	{"deepseek", "deepseek"},
	{"cohere", "cohere"},
	{"xiaomi", "xiaomi"},
	{"anthropic", "anthropic"},
	{"gemini", "google"},
	{"google", "google"},
	{"openai", "openai"},
	{"typesafe", "typesafe"},
}

// providerNames are too short to be looked for within names: they match a whole name or a word of it.
var providerNames = map[string]string{
	"xai": "xai", "zai": "zai", "kimi": "moonshot", "meta": "meta", "nvidia": "nvidia", "nim": "nvidia", "ibm": "watsonx",
	"oci": "oci", "oracle": "oci", "aws": "bedrock", "amazon": "bedrock", "gcp": "google", "tgi": "tgi", "mlx": "mlx",
	"@cf": "cloudflare", "ai21": "ai21", "github": "github_models", "hf": "huggingface",
}

// makers are providers of their own models. That a maker's client was used does not mean that the maker was called,
// since many hosts use the same protocol.
var makers = map[string]bool{
	"openai": true, "anthropic": true, "google": true, "mistral": true, "cohere": true, "deepseek": true, "xai": true,
	"meta": true, "zai": true, "moonshot": true, "minimax": true, "alibaba": true, "ai21": true, "nvidia": true,
}

// routers pass a call on to the host in the model's name, at the host's price.
var routers = map[string]bool{"huggingface": true}

// protocol is the provider whose protocol most others speak, so that clients name it whatever host they call.
const protocol = "openai"

// KnownProvider returns the provider that a text names, by its name in prices; empty if unknown.
func KnownProvider(text string) string { return providerOf(text) }

// providerOf returns the provider that a text names; empty if unknown.
func providerOf(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToLower(text)
	if provider := providerNames[text]; provider != "" {
		return provider
	}
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
	for _, known := range providerWords {
		if strings.Contains(letters, known.word) {
			return known.provider
		}
	}
	if provider := providerNames[letters]; provider != "" {
		return provider
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '.' || r == '_' || r == '-' || r == ' ' }) {
		if provider := providerNames[word]; provider != "" {
			return provider
		}
	}
	if strings.HasPrefix(letters, "xai") || strings.HasPrefix(letters, "zai") { // x_ai.chat, zai-org
		return letters[:3]
	}
	return ""
}
