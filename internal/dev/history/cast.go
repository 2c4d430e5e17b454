package history

// call is a model that an agent calls, with typical numbers of tokens.
type call struct {
	provider, model string
	input, output   int64
	seconds         float64
	price           bool // the shipped price lists have one; checked by a test
}

// aiAgent is an AI agent of the history.
type aiAgent struct {
	name    string
	since   float64 // the part of the history that is over when it is first used
	weight  float64 // of its requests among those of all agents
	steps   int     // calls and tool uses of a run, at most; 0: its executions are single calls
	tools   []string
	calls   []call
	failing float64 // the part of its calls that fail
	topics  []string
}

var (
	gpt4o  = call{"openai", "gpt-4o", 1800, 400, 2.5, true}
	mini   = call{"openai", "gpt-4o-mini", 6000, 300, 1.2, true}
	sonnet = call{"anthropic", "claude-sonnet-4-5", 12_000, 900, 6, true}
	haiku  = call{"anthropic", "claude-haiku-4-5", 3000, 500, 1.8, true}
	flash  = call{"google", "gemini-2.5-flash", 900, 20, 0.4, true}
	tuned  = call{"in-house", "llama-tuned", 1500, 700, 3, false}
)

var aiAgents = []aiAgent{
	{"main_orchestrator", 0, 5, 6, []string{"search_notes", "fetch_profile"}, []call{gpt4o, mini}, 0.02, []string{"Plan my week", "What should I study next?"}},
	{"flashcard_generator", 0, 6, 0, nil, []call{mini, gpt4o}, 0.015, []string{"Create flashcards about photosynthesis", "Create flashcards about Python"}},
	{"summarizer", 0, 4, 0, nil, []call{mini, flash}, 0.01, []string{"Summarize chapter 4", "Summarize the attached article"}},
	{"researcher", 0.1, 2, 8, []string{"web_search", "read_page"}, []call{sonnet}, 0.06, []string{"Compare these two sources", "Find papers about spaced repetition"}},
	{"classifier", 0, 7, 0, nil, []call{flash}, 0.004, []string{"Is this a question?"}},
	{"tutor", 0.25, 4, 4, []string{"grade_answer"}, []call{haiku, sonnet}, 0.025, []string{"Explain entropy to me", "Why is my answer wrong?"}},
	{"drafter", 0.45, 2, 0, nil, []call{tuned}, 0.03, []string{"Draft an essay's outline"}},
	{"translator", 0.75, 1.5, 0, nil, []call{mini, haiku}, 0.02, []string{"Translate this into Ukrainian"}},
}

// mistakes are messages of failed calls, the most frequent first.
var mistakes = []string{
	"429 Too Many Requests: rate limit reached for requests per minute",
	"the model's answer is not valid JSON",
	"context length exceeded: 131072 tokens requested, at most 128000",
	"500 Internal Server Error: the server had an error while processing the request",
	"the answer was stopped by the content filter",
	"connection reset by peer",
}

const (
	overloaded  = "529 Overloaded: the provider is overloaded; try again later"
	noAnswer    = "no answer within 30 s"
	failedBelow = "a call of the run failed"
)
