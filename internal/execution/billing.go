package execution

// Usage is the source of a model call's token counts.
type Usage string

// The kinds of Usage.
const (
	UsageNone      Usage = ""          // no model ran, or a call that its provider does not bill
	UsageReported  Usage = "reported"  // the provider's counts
	UsageUnknown   Usage = "unknown"   // a model ran and its usage was not fully reported: its counts and cost are minimums
	UsageEstimated Usage = "estimated" // counts that Watchbill or the client estimated
)

// Billing is what a provider's price depends on in addition to the model, the time and Tokens. Its counts are parts of those
// of Tokens. For the zero value the list price applies.
type Billing struct {
	ServiceTier string `json:"service_tier,omitempty"` // batch, flex, priority, …, in lower case; empty: standard
	Region      string `json:"region,omitempty"`       // where the model ran, as the provider writes it, in lower case

	CacheWrite1h   int64 `json:"cache_write_1h_tokens,omitempty"`   // of Tokens.CacheWrite, kept for an hour
	AudioInput     int64 `json:"audio_input_tokens,omitempty"`      // of Tokens.Input
	AudioOutput    int64 `json:"audio_output_tokens,omitempty"`     // of Tokens.Output
	AudioCacheRead int64 `json:"audio_cache_read_tokens,omitempty"` // of Tokens.CacheRead
	ImageInput     int64 `json:"image_input_tokens,omitempty"`      // of Tokens.Input
	ImageOutput    int64 `json:"image_output_tokens,omitempty"`     // of Tokens.Output
}

// Counts returns pointers to the counts, in the order of the fields.
func (b *Billing) Counts() [6]*int64 {
	return [...]*int64{&b.CacheWrite1h, &b.AudioInput, &b.AudioOutput, &b.AudioCacheRead, &b.ImageInput, &b.ImageOutput}
}

// Joined is another span or record of the same call.
type Joined struct {
	ID string `json:"execution_id"` // the id that it would have been stored under
	By string `json:"by"`           // how it was recognised: response_id, parent or similarity
}
