package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestNoWildcards checks that roles have no wildcards, no access to Secrets and no permission that allows escalation.
func TestNoWildcards(t *testing.T) {
	t.Parallel()
	roles := 0
	for _, p := range permutations(t) {
		for _, object := range objects(t, p.manifests) {
			if kind := object.GetKind(); kind != "Role" && kind != "ClusterRole" {
				continue
			}
			roles++
			var role rbacv1.ClusterRole
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
				t.Fatal(err)
			}
			for _, rule := range role.Rules {
				named := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs)
				if slices.ContainsFunc(named, func(s string) bool { return strings.Contains(s, "*") }) || len(rule.NonResourceURLs) > 0 {
					t.Errorf("%s: %s has a wildcard: %v", p.name, role.Name, rule)
				}
				for _, never := range []string{"secrets", "escalate", "bind", "impersonate", "pods/exec", "serviceaccounts/token"} {
					if slices.Contains(named, never) {
						t.Errorf("%s: %s has %s: %v", p.name, role.Name, never, rule)
					}
				}
			}
		}
	}
	if roles == 0 {
		t.Error("there are no roles")
	}
}

// right is a permission that the controller must or must not have.
type right struct {
	verb, group, resource, name, namespace string
}

// TestController checks the controller's permissions with the API server.
func TestController(t *testing.T) {
	const (
		watchbill  = "monitoring.watchbill.dev"
		prometheus = "monitoring.coreos.com"
		rbac       = "rbac.authorization.k8s.io"
		ours       = "watchbill-report"
	)
	for _, namespace := range []string{"everyone", "elsewhere", "here", "there"} {
		makeNamespace(t, namespace)
	}
	for _, c := range []struct {
		name        string
		set         []string
		may, mayNot []right
	}{
		{
			"everyone", nil,
			[]right{
				{"watch", watchbill, "monitoringreports", "", ""},
				{"patch", watchbill, "monitoringreports/status", "", "elsewhere"},
				{"list", "batch", "cronjobs", "", ""},
				{"list", "", "pods", "", ""},
				{"create", "events.k8s.io", "events", "", "elsewhere"},
				{"list", "", "namespaces", "", ""},
				{"watch", "apiextensions.k8s.io", "customresourcedefinitions", "", ""},
				{"list", prometheus, "prometheuses", "", ""},
				{"watch", "", "serviceaccounts", ours, ""},
				{"create", watchbill, "monitoringreports/run", "", "everyone"},
				{"patch", "batch", "cronjobs", "daily-report", "everyone"},
				{"create", "batch", "jobs", "", "everyone"},
				{"delete", prometheus, "prometheusrules", "daily-report", "everyone"},
				{"create", rbac, "rolebindings", ours, "everyone"},
				{"update", "coordination.k8s.io", "leases", "", "everyone"},
			},
			[]right{
				{"create", "batch", "jobs", "", "elsewhere"},
				{"create", watchbill, "monitoringreports/run", "", "elsewhere"},
				{"get", watchbill, "monitoringreports/run", "", "elsewhere"},
				{"create", rbac, "rolebindings", "admin", "everyone"},
				{"list", "", "serviceaccounts", "", ""},
				{"get", "", "secrets", "wb-watchbill-tokens", "everyone"},
				{"create", "", "pods", "", "everyone"},
				{"update", watchbill, "monitoringreports", "daily", "everyone"},
				{"update", "coordination.k8s.io", "leases", "", "elsewhere"},
			},
		},
		{
			"here",
			[]string{"watchNamespaces={here,there}", "reportNamespaces={there}"},
			[]right{
				{"watch", watchbill, "monitoringreports", "", "here"},
				{"list", "batch", "jobs", "", "there"},
				{"create", "batch", "cronjobs", "", "there"},
				{"list", prometheus, "prometheuses", "", ""},
			},
			[]right{
				{"watch", watchbill, "monitoringreports", "", ""},
				{"watch", watchbill, "monitoringreports", "", "elsewhere"},
				{"create", "batch", "cronjobs", "", "here"},
				{"list", "", "pods", "", ""},
			},
		},
		{
			"elsewhere",
			[]string{"reportNamespaces={*}"},
			[]right{
				{"create", "batch", "cronjobs", "", "here"},
				{"create", rbac, "roles", ours, "there"},
			},
			[]right{
				{"create", rbac, "roles", "admin", "there"},
				{"get", "", "secrets", "", "elsewhere"},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"--namespace", c.name, "--set", "crds.enabled=false"}
			for _, set := range c.set {
				args = append(args, "--set", set)
			}
			mustHelm(t, append([]string{"install", "wb", chartFile()}, args...)...)
			account := "system:serviceaccount:" + c.name + ":wb-watchbill-controller"
			for _, r := range c.may {
				if !allowed(t, account, r) {
					t.Errorf("it may not %+v", r)
				}
			}
			for _, r := range c.mayNot {
				if allowed(t, account, r) {
					t.Errorf("it may %+v", r)
				}
			}
			api := "system:serviceaccount:" + c.name + ":wb-watchbill-api"
			for _, r := range []right{{"create", "authentication.k8s.io", "tokenreviews", "", ""}, {"create", "authorization.k8s.io", "subjectaccessreviews", "", ""}} {
				if !allowed(t, api, r) {
					t.Errorf("the API may not %+v", r)
				}
			}
			if allowed(t, api, right{"get", "", "secrets", "", c.name}) {
				t.Error("the API may read Secrets")
			}
			applyAsController(t, account, c.name)
			mustHelm(t, "uninstall", "wb", "--namespace", c.name)
		})
	}
}

// TestSameRights checks that the chart gives the controller what controller-gen generates from its markers.
func TestSameRights(t *testing.T) {
	t.Parallel()
	generated := objects(t, readFile(t, inTree("config", "rbac", "role.yaml")))
	rendered := objects(t, render(t))
	for theirs, ours := range map[string]string{
		"watchbill-controller": "fleet-watchbill-controller", "watchbill-reports": "fleet-watchbill-controller-report",
		"watchbill-leader-election": "watchbill-controller-leader",
	} {
		want, got := rights(t, generated, theirs), rights(t, rendered, ours)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: config/rbac/role.yaml has (-), the chart (+)\n%s", ours, diff)
		}
	}
}

// rights returns the permissions of a role, one by one.
func rights(t *testing.T, all []*unstructured.Unstructured, name string) []string {
	t.Helper()
	var list []string
	for _, object := range all {
		if kind := object.GetKind(); object.GetName() != name || kind != "Role" && kind != "ClusterRole" {
			continue
		}
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						list = append(list, fmt.Sprintf("%s %s/%s %v", verb, group, resource, rule.ResourceNames))
					}
				}
			}
		}
	}
	if len(list) == 0 {
		t.Errorf("there is no role %s", name)
	}
	slices.Sort(list)
	return list
}

func allowed(t *testing.T, account string, r right) bool {
	t.Helper()
	resource, subresource, _ := strings.Cut(r.resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: account,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: r.namespace, Verb: r.verb, Group: r.group, Resource: resource, Subresource: subresource, Name: r.name,
		},
	}}
	got, err := client(t).AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Status.Allowed
}

// applyAsController checks that the controller can grant what it has to, under that name only.
func applyAsController(t *testing.T, account, namespace string) {
	t.Helper()
	if namespace == "here" {
		namespace = "there" // the namespace of its reports
	}
	role := func(name, resource string) error {
		text := "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n" +
			"rules: [{apiGroups: [monitoring.watchbill.dev], resources: [" + resource + "], verbs: [create, get]}]\n"
		_, err := cluster.Kubectl(t, text, "apply", "--server-side", "--dry-run=server", "--as", account, "-f", "-")
		return err
	}
	if err := role("watchbill-report", "monitoringreports/run"); err != nil {
		t.Errorf("it cannot make the reports' role: %v", err)
	}
	if err := role("other", "monitoringreports/run"); err == nil {
		t.Error("it can make a role of another name")
	}
	if err := role("watchbill-report", "monitoringreports/everything"); err == nil {
		t.Error("it can grant what it has not")
	}
}
