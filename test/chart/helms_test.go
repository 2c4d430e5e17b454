package chart

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Helm 4 uses server-side apply, with field ownership; Helm 3 merges and overwrites all fields.
var helms = []string{"helm", "helm4"}

// installation is a namespace for releases, whose objects are named after the release wb.
type installation struct {
	t         *testing.T
	helm      string
	namespace string
}

// eachHelm runs a test with both, each in a separate namespace.
func eachHelm(t *testing.T, test func(*testing.T, *installation)) {
	t.Helper()
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			namespace := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
			makeNamespace(t, namespace)
			test(t, &installation{t, helm, namespace})
		})
	}
}

// try runs a Helm command that takes a chart.
func (i *installation) try(verb, release string, args ...string) error {
	i.t.Helper()
	_, err := helmOf(i.t, i.helm, append([]string{verb, release, chartFile(), "--namespace", i.namespace}, args...)...)
	return err
}

func (i *installation) must(verb string, args ...string) {
	i.t.Helper()
	if err := i.try(verb, "wb", append(args, "--set", "crds.enabled=false", "--set", "fullnameOverride=wb")...); err != nil {
		i.t.Fatal(err)
	}
}

func (i *installation) upgrade(args ...string) {
	i.t.Helper()
	i.must("upgrade", append([]string{"--reuse-values"}, args...)...)
}

// conflicts checks that an upgrade has a conflict on a field if Helm uses server-side apply, and how to resolve it.
func (i *installation) conflicts(field string, args ...string) {
	i.t.Helper()
	args = append([]string{"--reuse-values", "--set", "crds.enabled=false"}, args...)
	if i.helm == "helm4" {
		if err := i.try("upgrade", "wb", args...); err == nil || !strings.Contains(err.Error(), field) {
			i.t.Fatalf("want a conflict about %s, got %v", field, err)
		}
		args = append(args, "--force-conflicts")
	}
	if err := i.try("upgrade", "wb", args...); err != nil {
		i.t.Fatal(err)
	}
}

func (i *installation) deployment() *appsv1.Deployment {
	i.t.Helper()
	d, err := client(i.t).AppsV1().Deployments(i.namespace).Get(i.t.Context(), "wb-api", metav1.GetOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	return d
}

func (i *installation) wantReplicas(when string, want int32) {
	i.t.Helper()
	if got := *i.deployment().Spec.Replicas; got != want {
		i.t.Errorf("%s: %d replicas, want %d", when, got, want)
	}
}

func (i *installation) wantImage(when, want string) {
	i.t.Helper()
	pod := i.deployment().Spec.Template.Spec
	if pod.Containers[0].Image != want || pod.InitContainers[0].Image != want {
		i.t.Errorf("%s: the images are %s and %s, want %s", when, pod.InitContainers[0].Image, pod.Containers[0].Image, want)
	}
}

// scale sets the replicas as the autoscaler does.
func (i *installation) scale(replicas int32) {
	i.t.Helper()
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "wb-api", Namespace: i.namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	_, err := client(i.t).AppsV1().Deployments(i.namespace).UpdateScale(i.t.Context(), "wb-api", scale, metav1.UpdateOptions{FieldManager: "kube-controller-manager"})
	if err != nil {
		i.t.Fatal(err)
	}
}

// TestReplicasByHand tests what the runbooks say: adding replicas with Helm, and the effect of `kubectl scale`.
func TestReplicasByHand(t *testing.T) {
	t.Parallel()
	eachHelm(t, func(_ *testing.T, i *installation) {
		i.must("install")
		i.wantReplicas("installed", 2)
		i.upgrade("--set", "api.replicas=5")
		i.wantReplicas("by Helm", 5)
		i.upgrade("--set", "api.logLevel=debug")
		i.wantReplicas("upgraded", 5)
		kubectl(i.t, "", "-n", i.namespace, "scale", "deployment/wb-api", "--replicas=7")
		i.conflicts(".spec.replicas", "--set", "api.logLevel=info")
		i.wantReplicas("upgraded after kubectl scale", 5)
	})
}

// TestUndo checks that `helm rollback` restores the previous revision and the next upgrade works. After `kubectl
// rollout undo` it has a conflict.
func TestUndo(t *testing.T) {
	t.Parallel()
	eachHelm(t, func(t *testing.T, i *installation) {
		i.must("install", "--set", "image.tag=v1")
		i.upgrade("--set", "image.tag=v2")
		if _, err := helmOf(t, i.helm, "rollback", "wb", "--namespace", i.namespace); err != nil {
			t.Fatal(err)
		}
		i.wantImage("rolled back", "watchbill/watchbill:v1")
		i.upgrade("--set", "image.tag=v3")
		i.wantImage("upgraded", "watchbill/watchbill:v3")

		undo := `[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "watchbill/watchbill:v2"},
			{"op": "replace", "path": "/spec/template/spec/initContainers/0/image", "value": "watchbill/watchbill:v2"}]`
		kubectl(t, "", "-n", i.namespace, "patch", "deployment/wb-api", "--type=json", "--field-manager=kubectl-rollout", "--patch", undo)
		i.conflicts("image", "--set", "image.tag=v4")
		i.wantImage("upgraded after an undo", "watchbill/watchbill:v4")
	})
}

// TestAutoscaling checks that the API keeps its replicas when autoscaling is turned on or off or the release is
// upgraded.
func TestAutoscaling(t *testing.T) {
	t.Parallel()
	on := []string{"--set", "api.autoscaling.enabled=true"}
	eachHelm(t, func(t *testing.T, i *installation) {
		i.must("install", "--set", "api.replicas=6")
		i.upgrade(on...)
		i.wantReplicas("turned on", 6)
		i.upgrade("--set", "api.logLevel=debug")
		i.wantReplicas("upgraded before it was scaled", 6)
		i.scale(8)
		i.upgrade("--set", "api.logLevel=info")
		i.wantReplicas("upgraded after it was scaled", 8)
		i.upgrade("--set", "api.logLevel=debug")
		i.wantReplicas("upgraded again", 8)
		i.upgrade("--set", "api.autoscaling.enabled=false")
		i.wantReplicas("turned off", 8)
		_, err := client(t).AutoscalingV2().HorizontalPodAutoscalers(i.namespace).Get(t.Context(), "wb-api", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("turned off, its autoscaler: %v", err)
		}
		i.conflicts(".spec.replicas", "--set", "api.replicas=3")
		i.wantReplicas("as the values say", 3)
		i.upgrade(append(on, "--set", "api.autoscaling.minReplicas=4")...)
		i.wantReplicas("turned on with more", 4)
	})
}

// TestOddNames checks that tags and names that registries and Helm accept are installed, or rejected before anything is
// created.
func TestOddNames(t *testing.T) {
	t.Parallel()
	letters := strings.Repeat("a", 62)
	eachHelm(t, func(t *testing.T, i *installation) {
		for n, tag := range []string{"_x", letters[:60] + "--.b", "__", "v" + strings.Repeat("9", 127)} {
			if err := i.try("install", fmt.Sprintf("tag%d", n), "--dry-run=server", "--set", "image.tag="+tag, "--set", "crds.enabled=false"); err != nil {
				t.Errorf("the tag %s: %v", tag, err)
			}
		}
		i.must("install", "--set", "image.tag="+letters+"-b")
		i.upgrade("--set", "image.tag=main-")
		if err := i.try("install", "named", "--dry-run=server", "--set", "nameOverride=a.b_C-", "--set", "fullnameOverride=named", "--set", "crds.enabled=false"); err != nil {
			t.Error(err)
		}
	})
	// Without fullnameOverride, objects are named after the release.
	for _, helm := range helms {
		for name, want := range map[string]string{
			"my.release":                          "my.release-watchbill-api, which is not a valid name of a Service",
			strings.Repeat("a", 38) + "-" + "b.c": "", // cut off before the dot
			strings.Repeat("a", 39) + "--b":       "",
		} {
			_, err := helmOf(t, helm, "template", name, chartFile(), "--kube-version", kubeVersion)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, the release %s: %v", helm, name, err)
			}
		}
		if _, err := helmOf(t, helm, "template", "my.release", chartFile(), "--kube-version", kubeVersion, "--set", "fullnameOverride=mine"); err != nil {
			t.Errorf("%s, a name of its own: %v", helm, err)
		}
	}
}

const definition = "crd/monitoringreports.monitoring.watchbill.dev"

// TestKeptDefinition checks that the CustomResourceDefinition remains when its release is uninstalled, and that a
// release of another name can adopt it. It is cluster-wide, so this test is not parallel.
func TestKeptDefinition(t *testing.T) {
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			kubectl(t, "", "delete", definition, "--ignore-not-found")
			namespace := "kept-" + helm
			makeNamespace(t, namespace)
			i := &installation{t, helm, namespace}
			if err := i.try("install", "one"); err != nil {
				t.Fatal(err)
			}
			if err := i.try("upgrade", "one", "--set", "api.replicas=3"); err != nil {
				t.Fatal(err)
			}
			if _, err := helmOf(t, helm, "uninstall", "one", "--namespace", namespace); err != nil {
				t.Fatal(err)
			}
			kubectl(t, "", "get", definition)
			if err := i.try("install", "two"); err == nil || !strings.Contains(err.Error(), "monitoringreports.monitoring.watchbill.dev") {
				t.Fatalf("another release takes what is not its own: %v", err)
			}
			if err := i.try("install", "two", "--take-ownership"); err != nil {
				t.Fatal(err)
			}
			if _, err := helmOf(t, helm, "uninstall", "two", "--namespace", namespace); err != nil {
				t.Fatal(err)
			}
			if err := i.try("install", "three", "--set", "crds.enabled=false"); err != nil {
				t.Fatal(err)
			}
			if _, err := helmOf(t, helm, "uninstall", "three", "--namespace", namespace); err != nil {
				t.Fatal(err)
			}
		})
	}
}
