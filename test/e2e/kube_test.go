//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ownedLabel marks the namespaces that the tests created.
const ownedLabel = "watchbill-e2e"

// definition is the name of Watchbill's CustomResourceDefinition.
const definition = "monitoringreports.monitoring.watchbill.dev"

// checkWithin limits one check.
const checkWithin = 20 * time.Second

// eventually waits until check returns nil, and fails the test with its last error after within.
func eventually(t *testing.T, within time.Duration, what string, check func(ctx context.Context) error) {
	t.Helper()
	began := time.Now()
	retry := time.NewTicker(500 * time.Millisecond)
	defer retry.Stop()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), checkWithin)
		err := check(ctx)
		cancel()
		if err == nil {
			t.Logf("%5.1f s until %s", time.Since(began).Seconds(), what)
			return
		}
		if time.Since(began) > within {
			t.Fatalf("timed out after %s waiting until %s: %v", within, what, err)
		}
		<-retry.C
	}
}

// kubectl returns the output of kubectl.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := tryKubectl(t.Context(), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryKubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, cluster.kubectl, append([]string{"--kubeconfig", cluster.kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return strings.TrimSpace(out.String()), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaints.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

var forwarded = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+)`)

// forward forwards a port of a Pod or Service and returns its URL.
func forward(t *testing.T, namespace, target string, port int) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "-n", namespace,
		"port-forward", "--address", "127.0.0.1", target, fmt.Sprintf(":%d", port))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-drained
		_ = cmd.Wait() // it was killed
	})
	first := make(chan string, 1)
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if found := forwarded.FindStringSubmatch(lines.Text()); found != nil {
				first <- found[1]
			}
		}
		close(first)
	}()
	select {
	case address, ok := <-first:
		if !ok {
			t.Fatalf("kubectl port-forward %s: %s", target, complaints.String())
		}
		return "http://" + address
	case <-time.After(20 * time.Second):
		t.Fatalf("kubectl port-forward %s did not begin", target)
	}
	return ""
}

// pods returns the Pods of a namespace that match a selector.
func pods(ctx context.Context, t *testing.T, namespace, selector string) []corev1.Pod {
	t.Helper()
	list, err := cluster.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func isReady(pod corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// makeNamespace creates a namespace that admits restricted Pods only. It is deleted when the test ends.
func makeNamespace(t *testing.T, name string) {
	t.Helper()
	labels := map[string]string{ownedLabel: "true", "pod-security.kubernetes.io/enforce": "restricted"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if err := cluster.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cluster.keep {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := cluster.Delete(ctx, namespace); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("delete the namespace: %v", err)
		}
	})
}

// sweepUp removes what an interrupted run left. It changes nothing else: if the cluster has other MonitoringReports,
// the tests are not run.
func sweepUp(ctx context.Context) error {
	out, err := tryKubectl(ctx, "", "get", "namespaces", "-l", ownedLabel, "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return err
	}
	ours := strings.Fields(out)
	out, err = tryKubectl(ctx, "", "get", "crd", definition, "--ignore-not-found", "-o", `jsonpath={.metadata.annotations.meta\.helm\.sh/release-namespace}`)
	if err != nil {
		return err
	}
	there, err := tryKubectl(ctx, "", "get", "crd", definition, "--ignore-not-found", "-o", "name")
	if err != nil {
		return err
	}
	if there != "" {
		if out != mainNamespace {
			return fmt.Errorf("this cluster has Watchbill already (%s, of the namespace %q): the tests need one without", definition, out)
		}
		fmt.Println("e2e: removing what a run before left")
		if _, err := tryKubectl(ctx, "", "delete", "crd", definition, "--timeout=60s"); err != nil {
			return err
		}
	}
	if len(ours) > 0 {
		_, err = tryKubectl(ctx, "", append([]string{"delete", "namespace", "--timeout=120s"}, ours...)...)
		return err
	}
	return nil
}

// nodePlatform returns the platform to build images for.
func nodePlatform(ctx context.Context) (string, error) {
	nodes, err := cluster.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil || len(nodes.Items) == 0 {
		return "", fmt.Errorf("look at the nodes: %d, %w", len(nodes.Items), err)
	}
	return "linux/" + nodes.Items[0].Status.NodeInfo.Architecture, nil
}

// dump prints what may explain a test's failure.
func dump(t *testing.T, namespace string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"get", "all,pvc,mrep", "-o", "wide"},
		{"describe", "mrep"},
		{"get", "events", "--sort-by=.lastTimestamp"},
	} {
		out, err := tryKubectl(ctx, "", append([]string{"-n", namespace}, args...)...)
		t.Logf("kubectl -n %s %s\n%s %v", namespace, strings.Join(args, " "), out, errText(err))
	}
	list, err := cluster.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Log(err)
		return
	}
	for _, pod := range list.Items {
		if !isReady(pod) && pod.Status.Phase != corev1.PodSucceeded {
			out, err := tryKubectl(ctx, "", "-n", namespace, "describe", "pod", pod.Name)
			t.Logf("%s %v", out, errText(err))
		}
		out, err := tryKubectl(ctx, "", "-n", namespace, "logs", pod.Name, "--all-containers", "--prefix", "--tail=1000")
		t.Logf("logs of %s without successful requests\n%s %v", pod.Name, telling(out), errText(err))
	}
}

var answeredWell = regexp.MustCompile(`"msg":"request".*"status":[234]`)

// telling returns the last lines of a log, without those of successful requests.
func telling(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if !answeredWell.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(len(lines)-40, 0):], "")
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// objectsOf returns the objects of a list.
func objectsOf(list client.ObjectList) (objects []client.Object, err error) {
	items, err := meta.ExtractList(list)
	for _, item := range items {
		objects = append(objects, item.(client.Object))
	}
	return objects, err
}
