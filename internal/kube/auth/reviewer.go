// Package auth authenticates Kubernetes ServiceAccount tokens and authorises their accounts for reports. It verifies a
// token's signature with the keys that the cluster publishes, so that forged tokens cost the API server nothing, then asks
// the API server by TokenReview and SubjectAccessReview and caches the reviews for some seconds. Tokens are sent only to
// the API server, never appear in errors, and are cached by their hash.
package auth

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/fault"
)

// The right that an account needs in a report's namespace, by verb.
const (
	resource    = "monitoringreports"
	subresource = "run"
)

// Errors with messages for the client. Details of Kubernetes are in the error that wraps them.
var (
	ErrTokenRefused = refused("Kubernetes does not accept the token: it may have expired, or its ServiceAccount may be gone")
	ErrNotAllowed   = &fault.Error{Kind: fault.Forbidden, Code: "forbidden", Detail: "the ServiceAccount does not have the right"}
	ErrUnavailable  = unavailable("Kubernetes cannot be reached to check the token; try again later")
	ErrBusy         = &fault.Error{Kind: fault.Limited, Code: "rate_limited", Detail: "too many tokens are waiting to be checked with Kubernetes; try again later"}

	errNotDelegated = unavailable("Kubernetes does not let this service check tokens: its ServiceAccount lacks the ClusterRole system:auth-delegator")
)

func refused(format string, args ...any) *fault.Error {
	return &fault.Error{Kind: fault.Forbidden, Code: "token_refused", Detail: fmt.Sprintf(format, args...)}
}

func unavailable(detail string) *fault.Error {
	return &fault.Error{Kind: fault.Unavailable, Code: "unavailable", Detail: detail}
}

// askWithin is the deadline of a review, including the wait for a turn.
const askWithin = 5 * time.Second

// Options are a Reviewer's settings.
type Options struct {
	Config   *rest.Config // how to reach the API server: see Load
	Audience string       // that tokens must be for
	Now      func() time.Time
	Log      *zap.Logger // may be nil
}

// Reviewer reviews tokens and accounts.
type Reviewer struct {
	audience string
	now      func() time.Time

	transport http.RoundTripper
	tokens    authenticationclient.TokenReviewInterface
	rights    authorizationclient.SubjectAccessReviewInterface
	keys      *keyring
	turns     *turns

	accounts *memory[account]
	allowed  *memory[struct{}]
}

// account is the ServiceAccount of a token.
type account struct {
	namespace, name string
	user            authenticationv1.UserInfo
}

// New returns a Reviewer. It does not contact the API server. Close must be called.
func New(opts Options) (*Reviewer, error) {
	config := rest.CopyConfig(opts.Config)
	config.Timeout, config.UserAgent = askWithin, "watchbill"
	config.QPS = -1 // turns limits the rate
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, wrap(err)
	}
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, wrap(err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, wrap(err)
	}
	log := opts.Log
	if log == nil {
		log = zap.NewNop()
	}
	return &Reviewer{
		audience: opts.Audience, now: opts.Now, transport: client.Transport,
		tokens: authentication.TokenReviews(), rights: authorization.SubjectAccessReviews(),
		keys:     &keyring{client: authentication.RESTClient(), now: opts.Now, log: log},
		turns:    newTurns(opts.Now),
		accounts: newMemory[account](), allowed: newMemory[struct{}](),
	}, nil
}

// Close closes the connections. The Reviewer must not be used afterwards.
func (r *Reviewer) Close() {
	r.turns.close()
	utilnet.CloseIdleConnectionsFor(r.transport)
}

// Account returns the namespace and name of a token's ServiceAccount. remote is the client's address. The error is
// ErrTokenRefused with the reason, ErrBusy or ErrUnavailable.
func (r *Reviewer) Account(ctx context.Context, remote, token string) (namespace, name string, err error) {
	a, _, err := r.account(ctx, remote, token)
	return a.namespace, a.name, err
}

// Allow returns nil if a token's account has a right to the reports of a namespace: verb is "create" or "get". The error is
// ErrNotAllowed with the missing right, or one of Account's.
func (r *Reviewer) Allow(ctx context.Context, remote, token, verb, namespace string) error {
	a, ends, err := r.account(ctx, remote, token)
	if err != nil {
		return err
	}
	_, err = r.allowed.response(hashOf(token, verb, namespace), r.now, ends, func() (struct{}, error) {
		return struct{}{}, r.reviewRight(ctx, a, verb, namespace)
	})
	return err
}

// account returns a token's account and expiry. Rejections here are not cached, since anyone can forge more tokens than the
// cache holds.
func (r *Reviewer) account(ctx context.Context, remote, token string) (a account, ends time.Time, err error) {
	t, err := r.inspect(token)
	if err != nil {
		return account{}, t.ends, err
	}
	about := hashOf(token)
	if known, ok := r.accounts.recall(about, r.now()); ok {
		return known.response, t.ends, known.err
	}
	checked, err := r.verify(ctx, t)
	if err != nil {
		return account{}, t.ends, err
	}
	who := asker{group: "namespace " + t.namespace, member: t.name}
	if !checked { // the namespace may be forged
		who = asker{group: "network " + network(remote), member: t.namespace}
	}
	a, err = r.accounts.response(about, r.now, t.ends, func() (account, error) { return r.reviewToken(ctx, who, token) })
	return a, t.ends, err
}

func (r *Reviewer) reviewToken(ctx context.Context, who asker, token string) (account, error) {
	ctx, cancel := forAll(ctx)
	defer cancel()
	if err := r.turns.take(ctx, who); err != nil {
		return account{}, err
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{r.audience}}}
	review, err := r.tokens.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return account{}, away("review a token", err)
	}
	if !review.Status.Authenticated {
		return account{}, ErrTokenRefused
	}
	// An API server or webhook without support for audiences accepts tokens for other audiences.
	if !slices.Contains(review.Status.Audiences, r.audience) {
		return account{}, refused("Kubernetes does not confirm that the token is for the audience %q", r.audience)
	}
	a := account{user: review.Status.User}
	var ok bool
	if a.namespace, a.name, ok = serviceAccount(a.user.Username); !ok {
		return account{}, refused("the token is not one of a Kubernetes ServiceAccount")
	}
	return a, nil
}

func (r *Reviewer) reviewRight(ctx context.Context, a account, verb, namespace string) error {
	lacking := &fault.Error{
		Kind: ErrNotAllowed.Kind, Code: ErrNotAllowed.Code,
		Detail: fmt.Sprintf("the ServiceAccount %s/%s may not %s %s/%s (%s) in the namespace %s",
			a.namespace, a.name, verb, resource, subresource, v1alpha1.GroupVersion.Group, namespace),
	}
	if namespace == "" { // which would mean all of them
		return lacking
	}
	ctx, cancel := forAll(ctx)
	defer cancel()
	if err := r.turns.take(ctx, asker{group: "namespace " + a.namespace, member: a.name}); err != nil {
		return err
	}
	extra := make(map[string]authorizationv1.ExtraValue, len(a.user.Extra))
	for name, values := range a.user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: a.user.Username, UID: a.user.UID, Groups: a.user.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Resource: resource, Subresource: subresource, Verb: verb, Namespace: namespace,
		},
	}}
	review, err := r.rights.Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return away("review a ServiceAccount's right", err)
	}
	if !review.Status.Allowed || review.Status.Denied {
		return lacking
	}
	return nil
}

// forAll returns a context for a call that others share, which must not end with the first caller's.
func forAll(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), askWithin)
}

// away returns the error for an unreachable API server.
func away(doing string, err error) error {
	problem := ErrUnavailable
	if apierrors.IsForbidden(err) {
		problem = errNotDelegated
	}
	return fmt.Errorf("%s: %w: %w", doing, problem, err)
}
