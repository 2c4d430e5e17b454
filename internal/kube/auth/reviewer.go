// Package auth tells by a Kubernetes ServiceAccount's token whose it is, and what the account may do with reports. It
// checks the token's signature with the keys that the cluster publishes, so that a made-up token costs the API server
// nothing, then asks the API server by TokenReview and SubjectAccessReview, and believes what it said for some seconds. A
// token is shown to nobody else, and is in no error; it is remembered by its hash.
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

// What an account must have the right to in the namespace of a report, by the verb for what it does to it.
const (
	resource    = "monitoringreports"
	subresource = "run"
)

// The faults, as whoever brought the token is told them. What Kubernetes says stays in the error that wraps them.
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

// askWithin is how long the API server has to answer, with the wait for a turn to ask it.
const askWithin = 5 * time.Second

// Options are what a Reviewer needs.
type Options struct {
	Config   *rest.Config // how to reach the API server: see Load
	Audience string       // that tokens must be for
	Now      func() time.Time
	Log      *zap.Logger // nil: nothing is logged
}

// Reviewer asks about tokens and accounts.
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

// account is whose a token is.
type account struct {
	namespace, name string
	user            authenticationv1.UserInfo
}

// New makes a Reviewer. It does not wait for the API server: who asks finds out. Close must be called.
func New(opts Options) (*Reviewer, error) {
	config := rest.CopyConfig(opts.Config)
	config.Timeout, config.UserAgent = askWithin, "watchbill"
	config.QPS = -1 // turns paces the questions
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

// Close closes the connections. Nobody may ask any more.
func (r *Reviewer) Close() {
	r.turns.close()
	utilnet.CloseIdleConnectionsFor(r.transport)
}

// Account tells the namespace and the name of the ServiceAccount that a token is of. remote is the address that it came
// from. The error is ErrTokenRefused, saying why, ErrBusy or ErrUnavailable.
func (r *Reviewer) Account(ctx context.Context, remote, token string) (namespace, name string, err error) {
	a, _, err := r.account(ctx, remote, token)
	return a.namespace, a.name, err
}

// Allow returns nil if a token's account may do something to the reports of a namespace: verb is "create" or "get". Its
// error is ErrNotAllowed, saying what is missing, or one of Account's.
func (r *Reviewer) Allow(ctx context.Context, remote, token, verb, namespace string) error {
	a, ends, err := r.account(ctx, remote, token)
	if err != nil {
		return err
	}
	_, err = r.allowed.answer(hashOf(token, verb, namespace), r.now, ends, func() (struct{}, error) {
		return struct{}{}, r.reviewRight(ctx, a, verb, namespace)
	})
	return err
}

// account tells whose a token is, and when it ends. What is refused here is not remembered, since anyone can make up more
// of it than there is room for.
func (r *Reviewer) account(ctx context.Context, remote, token string) (a account, ends time.Time, err error) {
	t, err := r.inspect(token)
	if err != nil {
		return account{}, t.ends, err
	}
	about := hashOf(token)
	if known, ok := r.accounts.recall(about, r.now()); ok {
		return known.answer, t.ends, known.err
	}
	checked, err := r.verify(ctx, t)
	if err != nil {
		return account{}, t.ends, err
	}
	who := asker{group: "namespace " + t.namespace, member: t.name}
	if !checked { // then the namespace may be made up
		who = asker{group: "network " + network(remote), member: t.namespace}
	}
	a, err = r.accounts.answer(about, r.now, t.ends, func() (account, error) { return r.reviewToken(ctx, who, token) })
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
	// An API server, or a webhook of its, that knows nothing of audiences accepts tokens that are for others.
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

// forAll is a context for what others wait for too, though who began it may give up.
func forAll(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), askWithin)
}

// away says that Kubernetes could not be asked.
func away(doing string, err error) error {
	problem := ErrUnavailable
	if apierrors.IsForbidden(err) {
		problem = errNotDelegated
	}
	return fmt.Errorf("%s: %w: %w", doing, problem, err)
}
