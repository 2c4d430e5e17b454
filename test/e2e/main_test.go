//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// prepareWithin allows for building everything for the first time, including Kubernetes.
const prepareWithin = 40 * time.Minute

const root = "../.." // of the tree

// cluster is the cluster that the tests use.
var cluster struct {
	kubeconfig            string
	kind                  bool   // images are loaded with kind
	ours                  bool   // started by hack/cluster
	began                 bool   // and for this run
	keep                  bool   // keep what the tests created
	product, visitor, sql string // images
	previous              string // image of the previous release
	helm, kubectl         string // programs
	config                *rest.Config
	client.Client
	kubernetes.Interface
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

// atOnce is the number of parallel tests and chapters. They mostly wait.
const atOnce = "8"

func run(m *testing.M) int {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, prepareWithin)
	defer cancel()
	began := time.Now()
	err := prepare(ctx)
	defer takeDown()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	fmt.Printf("e2e: prepared in %.0f s\n", time.Since(began).Seconds())
	cancel()
	defer onInterrupt(takeDown)()
	code := m.Run()
	fmt.Printf("e2e: done in %.0f s\n", time.Since(began).Seconds())
	return code
}

// onInterrupt calls do and ends the run when the user interrupts it.
func onInterrupt(do func()) (forget func()) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	go func() {
		if _, interrupted := <-interrupts; interrupted {
			do()
			os.Exit(1)
		}
	}()
	return func() {
		signal.Stop(interrupts)
		close(interrupts)
	}
}

// prepare starts a cluster, if necessary, and installs what the tests need.
func prepare(ctx context.Context) (err error) {
	cluster.keep = os.Getenv("WATCHBILL_E2E_KEEP") == "1"
	cluster.kind = os.Getenv("WATCHBILL_E2E") == "kind"
	cluster.kubeconfig = os.Getenv("KUBECONFIG")
	if cluster.helm, err = output(ctx, "hack/tool", "--path", "helm"); err != nil {
		return err
	}
	if cluster.kubectl, err = output(ctx, "hack/tool", "--path", "kubectl"); err != nil {
		return err
	}
	if cluster.kubeconfig == "" && !cluster.kind {
		if err := bringUp(ctx); err != nil {
			return err
		}
	}
	if cluster.kubeconfig == "" {
		cluster.kubeconfig = clientcmd.RecommendedHomeFile
	}
	if err := connect(); err != nil {
		return err
	}
	if err := loadImages(ctx); err != nil {
		return err
	}
	return sweepUp(ctx)
}

// bringUp starts hack/cluster. If it was running already, it keeps running after the tests.
func bringUp(ctx context.Context) error {
	if _, err := ourKubeconfig(ctx); err != nil {
		cluster.began = true
		if err := show(ctx, "hack/cluster/cluster", "up"); err != nil {
			return err
		}
	}
	if err := show(ctx, "hack/cluster/cluster", "monitoring"); err != nil {
		return err
	}
	var err error
	cluster.kubeconfig, err = ourKubeconfig(ctx)
	return err
}

func takeDown() {
	if !cluster.began || cluster.keep {
		return
	}
	if err := show(context.Background(), "hack/cluster/cluster", "down"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	}
}

// ourKubeconfig returns the kubeconfig of hack/cluster, if it runs.
func ourKubeconfig(ctx context.Context) (string, error) {
	out, err := output(ctx, "hack/cluster/cluster", "env")
	return strings.TrimPrefix(out, "KUBECONFIG="), err
}

func connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", cluster.kubeconfig)
	if err != nil {
		return fmt.Errorf("read %s: %w", cluster.kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200
	cluster.config = config
	if err := v1alpha1.AddToScheme(clientscheme.Scheme); err != nil {
		return err
	}
	if cluster.Client, err = client.New(config, client.Options{Scheme: clientscheme.Scheme}); err != nil {
		return fmt.Errorf("reach the cluster of %s: %w", cluster.kubeconfig, err)
	}
	cluster.Interface, err = kubernetes.NewForConfig(config)
	return err
}

// loadImages builds the images and loads them into the cluster. For a cluster of neither hack/cluster nor kind, the
// user must set image names.
func loadImages(ctx context.Context) error {
	own, err := ourKubeconfig(ctx)
	cluster.ours = err == nil && own == cluster.kubeconfig
	cluster.product, cluster.visitor = "watchbill.local/watchbill:e2e", "watchbill.local/visitor:e2e"
	cluster.sql = "watchbill.local/postgres:cluster"
	if !cluster.ours {
		cluster.sql = "postgres:17"
		if image := os.Getenv("WATCHBILL_E2E_POSTGRES_IMAGE"); image != "" {
			cluster.sql = image
		}
	}
	if !cluster.ours && !cluster.kind {
		cluster.product, cluster.visitor = os.Getenv("WATCHBILL_E2E_IMAGE"), os.Getenv("WATCHBILL_E2E_VISITOR_IMAGE")
		cluster.previous = cmp.Or(os.Getenv("WATCHBILL_E2E_PREVIOUS_IMAGE"), cluster.product)
		if cluster.product == "" || cluster.visitor == "" {
			return errors.New("WATCHBILL_E2E_IMAGE and WATCHBILL_E2E_VISITOR_IMAGE must name images that this cluster can pull; " +
				"see docs/e2e.md for how to make them")
		}
		return nil
	}
	if err := makeImages(ctx); err != nil {
		return err
	}
	if cluster.ours {
		return show(ctx, "hack/cluster/cluster", "postgres")
	}
	return nil
}

// makeImages builds the images of this tree and of the previous release.
func makeImages(ctx context.Context) (err error) {
	here, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if err := makeImage(ctx, here, "./cmd/watchbill", cluster.product); err != nil {
		return err
	}
	if err := makeImage(ctx, here, "./test/e2e/visitor", cluster.visitor); err != nil {
		return err
	}
	cluster.previous = cluster.product
	source, there, err := sourceOfPrevious(ctx)
	defer func() { err = errors.Join(err, os.RemoveAll(source)) }()
	if err != nil || !there {
		return err
	}
	cluster.previous = "watchbill.local/watchbill:" + previousVersion
	return makeImage(ctx, source, "./cmd/watchbill", cluster.previous)
}

// makeImage builds the image of a program for the cluster's nodes, and loads it.
func makeImage(ctx context.Context, source, pkg, image string) error {
	platform, err := nodePlatform(ctx)
	if err != nil {
		return err
	}
	_, version, _ := strings.Cut(image, ":")
	file, err := filepath.Abs(filepath.Join(root, "bin", "e2e", filepath.Base(pkg)+"-"+version+".tar"))
	if err != nil {
		return err
	}
	if err := show(ctx, "go", "run", "-C", "hack/image", ".", "-source", source, "-package", pkg,
		"-name", image, "-version", version, "-platforms", platform, "-output", file); err != nil {
		return err
	}
	if cluster.kind {
		return show(ctx, "kind", "load", "image-archive", file)
	}
	return show(ctx, "hack/cluster/cluster", "load", file)
}

// command returns a command that runs in the tree's root.
func command(ctx context.Context, words ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs a command and returns its output.
func output(ctx context.Context, words ...string) (string, error) {
	out, err := command(ctx, words...).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return "", fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// show runs a command and shows its output.
func show(ctx context.Context, words ...string) error {
	cmd := command(ctx, words...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return nil
}
