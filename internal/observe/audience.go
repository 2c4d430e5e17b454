package observe

import "context"

// Audience says for whom the service did something. Only what it did for known callers decides figures: objectives,
// summaries and alerts. The rest is counted apart, so that nobody without a token can move a figure.
type Audience uint8

// The audiences. The zero value is what holds until a token was found valid.
const (
	Unauthenticated Audience = iota // no token, or none that is known
	Probe                           // a health check
	Known                           // a caller with a valid token, or the service itself
	audiences
)

func (a Audience) String() string {
	return [audiences]string{"unauthenticated", "probe", "known"}[a]
}

type audienceKey struct{}

// WithAudience marks the work done under a context as done for an audience: its database queries are counted as such.
func WithAudience(ctx context.Context, a Audience) context.Context {
	if AudienceOf(ctx) == a {
		return ctx
	}
	return context.WithValue(ctx, audienceKey{}, a)
}

// AudienceOf returns for whom the work under ctx is done. It is Known where nothing was said, as for all that the service
// does of itself.
func AudienceOf(ctx context.Context) Audience {
	if a, said := ctx.Value(audienceKey{}).(Audience); said {
		return a
	}
	return Known
}
