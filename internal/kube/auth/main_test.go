package auth

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
)

const (
	audience = "watchbill"
	remote   = "192.0.2.1:1234"
)

var cluster *kubetest.Cluster

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m, &cluster, kubetest.Options{})) }

// fixture is a namespace of the cluster, and a Reviewer with a manual clock and counted requests.
type fixture struct {
	*Reviewer
	t         *testing.T
	client    *kubernetes.Clientset
	namespace string
	clock     *clock
	requests  *counter
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(client.RESTClient().(*rest.RESTClient).Client.Transport) })
	w := &fixture{t: t, client: client, clock: &clock{time: time.Now()}, requests: &counter{}}
	w.namespace = w.newNamespace()
	w.Reviewer = w.reviewer(cluster.Config)
	return w
}

func (w *fixture) reviewer(config *rest.Config) *Reviewer {
	w.t.Helper()
	config = rest.CopyConfig(config)
	config.Wrap(w.requests.wrap)
	r, err := New(Options{Config: config, Audience: audience, Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(r.Close)
	return r
}

func (w *fixture) newNamespace() string {
	w.t.Helper()
	made, err := w.client.CoreV1().Namespaces().Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "fleet-"}}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.Name
}

// account creates a ServiceAccount in a namespace, with permission for verbs on reports there.
func (w *fixture) account(namespace, name string, verbs ...string) {
	w.t.Helper()
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	_, err := w.client.CoreV1().ServiceAccounts(namespace).Create(w.t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	if err == nil && len(verbs) > 0 {
		_, err = w.client.RbacV1().Roles(namespace).Create(w.t.Context(), &rbacv1.Role{
			ObjectMeta: meta,
			Rules:      []rbacv1.PolicyRule{{Verbs: verbs, APIGroups: []string{"monitoring.watchbill.dev"}, Resources: []string{"monitoringreports/run"}}},
		}, metav1.CreateOptions{})
		err = errors.Join(err, w.bind(namespace, name, namespace))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// forget deletes a ServiceAccount.
func (w *fixture) forget(name string) {
	w.t.Helper()
	if err := w.client.CoreV1().ServiceAccounts(w.namespace).Delete(w.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// bind grants a namespace's ServiceAccount the role of its name in another namespace.
func (w *fixture) bind(namespace, name, in string) error {
	_, err := w.client.RbacV1().RoleBindings(in).Create(w.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: in},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: name},
	}, metav1.CreateOptions{})
	return err
}

// token requests a token of a ServiceAccount.
func (w *fixture) token(namespace, name string, audiences ...string) string {
	w.t.Helper()
	return w.lasting(600, namespace, name, audiences...)
}

// lasting requests a token that is valid for a number of seconds.
func (w *fixture) lasting(seconds int64, namespace, name string, audiences ...string) string {
	w.t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds}}
	made, err := w.client.CoreV1().ServiceAccounts(namespace).CreateToken(w.t.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return made.Status.Token
}

// refuses fails the test unless the error is of the wanted kind, contains telling, and does not contain the token.
func refuses(t *testing.T, err error, want *fault.Error, telling, token string) {
	t.Helper()
	var got *fault.Error
	if !errors.As(err, &got) || got.Kind != want.Kind || got.Code != want.Code || !strings.Contains(got.Detail, telling) {
		t.Errorf("want %s saying %q, got %v", want.Code, telling, err)
	}
	for _, part := range strings.Split(token, ".") {
		if err != nil && len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Error("the error tells the token")
		}
	}
}

type clock struct {
	mu   sync.Mutex
	time time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = t
}

func (c *clock) advance(d time.Duration) { c.set(c.now().Add(d)) }

// counter counts requests by what they create.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counter) wrap(next http.RoundTripper) http.RoundTripper { return counted{next, c} }

func (c *counter) tokenReviews() int  { return c.read("tokenreviews") }
func (c *counter) accessReviews() int { return c.read("subjectaccessreviews") }

func (c *counter) read(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[what]
}

type counted struct {
	next http.RoundTripper
	*counter
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]++
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// WrappedRoundTripper makes it possible to close the connections.
func (c counted) WrappedRoundTripper() http.RoundTripper { return c.next }

// answering is a fake API server.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }
func (answering) CloseIdleConnections()                               {}
