package observe

import "context"

// Audience is the kind of caller that some work was done for. Only work for known callers counts in figures:
// objectives, summaries and alerts. Other work is counted separately, so that a caller without a token cannot affect a
// figure.
type Audience uint8

// The audiences. The zero value applies until a token is found valid.
const (
	Unauthenticated Audience = iota // no valid token
	Probe                           // a health check
	Known                           // a caller with a valid token, or the service itself
	audiences
)

func (a Audience) String() string {
	return [audiences]string{"unauthenticated", "probe", "known"}[a]
}

type audienceKey struct{}

// WithAudience returns a context for work that is done for an audience. Its database queries are counted for it.
func WithAudience(ctx context.Context, a Audience) context.Context {
	if AudienceOf(ctx) == a {
		return ctx
	}
	return context.WithValue(ctx, audienceKey{}, a)
}

// AudienceOf returns the audience of ctx. It is Known if none was set, as for the service's own work.
func AudienceOf(ctx context.Context) Audience {
	if a, ok := ctx.Value(audienceKey{}).(Audience); ok {
		return a
	}
	return Known
}
