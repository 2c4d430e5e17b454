package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/zapr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/watchbill/watchbill/controllers"
	"github.com/watchbill/watchbill/internal/kube/desired"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/report/rules"
	"github.com/watchbill/watchbill/internal/text"
)

// gcPercent is how much the heap may grow before a collection, unless GOGC is set. Most of the heap is cache, so frequent
// collections cost little, and a thousand reports take 97 MiB instead of 105 with 50.
const gcPercent = 30

// askTimeout limits a request to the API for the outcome of a report's run.
const askTimeout = 10 * time.Second

// controllerOptions are the flags of `watchbill controller`.
type controllerOptions struct {
	metricsListen, healthListen       string
	leaderElect                       bool
	leaderElectionNamespace           string
	watchNamespaces, reportNamespaces []string

	image, imagePullPolicy       string
	imagePullSecrets             []string
	reportRequests, reportLimits map[string]string
	connection                   connection
	tokenFile                    string
	allowedOutputs               []string

	selector, controllerSelector map[string]string
	runbookURL, rulesTarget      string

	kubeconfig string
	logs       logFlags
}

func controllerCommand(std stdio) *cobra.Command {
	var o controllerOptions
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Make reports and alerts for the MonitoringReports in a Kubernetes cluster",
		Long: `Make reports and alerts for the MonitoringReports in a Kubernetes cluster, until SIGTERM or SIGINT. Of several replicas one
works, and the others wait to take over.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), std) },
	}
	o.bind(cmd.Flags())
	return cmd
}

func (o *controllerOptions) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.metricsListen, "metrics-listen", ":9090", "`address` that serves /metrics for Prometheus; 0 turns it off")
	flags.StringVar(&o.healthListen, "health-listen", ":8081", "`address` that serves /healthz and /readyz; 0 turns it off")
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "elect a leader, so that one replica works at a time")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "`namespace` of the Lease for leader election (default: the controller's own)")
	flags.StringSliceVar(&o.watchNamespaces, "watch-namespaces", nil, "comma-separated `namespaces` to watch for MonitoringReports (default: all)")
	flags.StringSliceVar(&o.reportNamespaces, "report-namespaces", nil, "comma-separated `namespaces` where reports may be made, or * for all; reports show the whole fleet, its users and costs (default: the controller's own)")
	flags.StringVar(&o.image, "image", "", "`image` of the Pods that make reports: the one this controller runs")
	flags.StringVar(&o.imagePullPolicy, "image-pull-policy", "", "pull `policy` of the image of the Pods that make reports: Always, IfNotPresent or Never (default: the cluster's)")
	flags.StringSliceVar(&o.imagePullSecrets, "image-pull-secrets", nil, "comma-separated `secrets`, in the reports' namespaces, for pulling the image of the Pods that make reports")
	flags.StringToStringVar(&o.reportRequests, "report-requests", map[string]string{"cpu": "20m", "memory": "64Mi"}, "resource `requests` of each Pod that makes a report")
	flags.StringToStringVar(&o.reportLimits, "report-limits", map[string]string{"memory": "256Mi"}, "resource `limits` of each Pod that makes a report")
	flags.StringVar(&o.connection.server, "server", "", "`URL` of the API, as Pods reach it, such as http://watchbill.watchbill-system:8080")
	flags.StringVar(&o.connection.caFile, "ca-file", "", "PEM `file` of certificate authorities to trust in addition to the system's")
	flags.StringVar(&o.tokenFile, "token-file", "", "`file` with the controller's ServiceAccount token for the API, used to ask about runs whose Pod is gone (default: do not ask)")
	flags.StringSliceVar(&o.allowedOutputs, "allowed-outputs", nil, "comma-separated `patterns` of allowed destinations of reports: hosts (hooks.slack.com, *.example.com), networks (10.96.0.0/12) and buckets (s3://reports) (default: any)")
	flags.StringToStringVar(&o.selector, "metrics-selector", nil, "`labels` that select the API's series in Prometheus, such as job=watchbill,namespace=fleet")
	flags.StringToStringVar(&o.controllerSelector, "controller-metrics-selector", nil, "`labels` that select the controller's series in Prometheus, such as job=watchbill-controller")
	flags.StringVar(&o.runbookURL, "runbook-url", rules.DefaultRunbookURL, "base `URL` of the alerts' runbooks, for reports that name none")
	flags.StringVar(&o.rulesTarget, "rules-target", string(rules.Prometheus), "`system` that evaluates the rules: prometheus, victoriametrics or mimir")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "`kubeconfig `file` of the cluster (default: $KUBECONFIG, or the Pod's own account)")
	o.logs.bind(flags)
}

func (o *controllerOptions) run(ctx context.Context, std stdio) (err error) {
	cluster, options, err := o.check()
	logs, logErr := o.logs.open(std)
	if logs != nil {
		defer func() { err = errors.Join(err, logs.Close()) }()
	}
	if err := errors.Join(err, logErr); err != nil {
		return usageError(err)
	}
	options.Log = zapr.NewLogger(logs.App.Named("controller"))
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	log.SetLogger(options.Log)
	klog.SetLogger(options.Log)
	mgr, err := controllers.NewManager(ctx, cluster, options)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// check returns the configuration from the flags, or all their faults.
func (o *controllerOptions) check() (*rest.Config, controllers.ManagerOptions, error) {
	var wrong faults
	o.checkAddresses(&wrong)
	wrong.add(o.image == "", "--image", "is required")
	wrong.add(strings.ContainsAny(o.image, " \t\n"), "--image", "%q is not an image", text.FitRunes(o.image, 80))
	pull := []string{"", string(corev1.PullAlways), string(corev1.PullIfNotPresent), string(corev1.PullNever)}
	wrong.add(!slices.Contains(pull, o.imagePullPolicy), "--image-pull-policy", "must be Always, IfNotPresent or Never, not %q", text.FitRunes(o.imagePullPolicy, 40))
	for _, name := range o.imagePullSecrets {
		wrong.add(len(validation.IsDNS1123Subdomain(name)) > 0, "--image-pull-secrets", "%q is not the name of a Secret", text.FitRunes(name, 80))
	}
	resources := corev1.ResourceRequirements{
		Requests: resourceList(&wrong, "--report-requests", o.reportRequests),
		Limits:   resourceList(&wrong, "--report-limits", o.reportLimits),
	}
	_, err := reportjob.ParseAllowed(o.allowedOutputs)
	wrong.keep("--allowed-outputs", err)
	target, err := rules.ParseTarget(o.rulesTarget)
	wrong.keep("--rules-target", err)
	cluster, namespace := o.cluster(&wrong)
	o.namespaces(&wrong, namespace)
	options := controllers.ManagerOptions{
		Options: controllers.Options{
			Desired: desired.Options{
				Image: o.image, ImagePullPolicy: corev1.PullPolicy(o.imagePullPolicy), ImagePullSecrets: o.imagePullSecrets,
				Server: o.connection.server, AllowedOutputs: o.allowedOutputs, Resources: resources,
				Rules: rules.Options{
					Selector: o.selector, ControllerSelector: o.controllerSelector, RunbookURL: o.runbookURL,
					Target: target, Routes: apiRoutes(),
				},
			},
			ReportNamespaces: o.reportNamespaces,
			Reports:          o.reports(&wrong),
			Now:              time.Now,
		},
		MetricsListen: o.metricsListen, HealthListen: o.healthListen,
		LeaderElect: o.leaderElect, LeaderElectionNamespace: o.leaderElectionNamespace,
		WatchNamespaces: o.watchNamespaces,
		Registry:        metrics.Registry,
	}
	return cluster, options, errors.Join(wrong...)
}

func (o *controllerOptions) checkAddresses(wrong *faults) {
	for _, listen := range [][2]string{{"--metrics-listen", o.metricsListen}, {"--health-listen", o.healthListen}} {
		_, _, err := net.SplitHostPort(listen[1])
		wrong.add(err != nil && listen[1] != "0", listen[0], "must be an address such as :9090, or 0, not %q", text.FitRunes(listen[1], 80))
	}
	wrong.add(o.metricsListen == o.healthListen && o.metricsListen != "0" && !strings.HasSuffix(o.metricsListen, ":0"), "--health-listen", "is --metrics-listen too")
	base, err := url.Parse(o.runbookURL)
	wrong.add(err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https", "--runbook-url", "must be a URL of http or https, not %q", text.FitRunes(o.runbookURL, 80))
}

func resourceList(wrong *faults, flag string, quantities map[string]string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, name := range slices.Sorted(maps.Keys(quantities)) {
		value := quantities[name]
		quantity, err := resource.ParseQuantity(value)
		wrong.add(err != nil || quantity.Sign() < 0, flag, "%s must be a quantity such as 100m or 64Mi, not %q", text.FitRunes(name, 40), text.FitRunes(value, 40))
		list[corev1.ResourceName(name)] = quantity
	}
	return list
}

// cluster returns the client configuration of the cluster and the controller's own namespace.
func (o *controllerOptions) cluster(wrong *faults) (*rest.Config, string) {
	loading := clientcmd.NewDefaultClientConfigLoadingRules()
	loading.ExplicitPath = o.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(loading, nil)
	config, err := loader.ClientConfig()
	wrong.keep("--kubeconfig", err)
	if err != nil {
		return nil, ""
	}
	namespace, _, err := loader.Namespace()
	wrong.keep("--kubeconfig", err)
	return config, namespace
}

// namespaces sets defaults of the namespace flags and checks them.
func (o *controllerOptions) namespaces(wrong *faults, own string) {
	if len(o.reportNamespaces) == 0 && own != "" {
		o.reportNamespaces = []string{own}
	}
	if o.leaderElectionNamespace == "" {
		o.leaderElectionNamespace = own
	}
	name := func(flag, name string) {
		wrong.add(len(validation.IsDNS1123Label(name)) > 0, flag, "%q is not the name of a namespace", text.FitRunes(name, 80))
	}
	for _, one := range o.watchNamespaces {
		name("--watch-namespaces", one)
	}
	for _, one := range o.reportNamespaces {
		if one != "*" {
			name("--report-namespaces", one)
			wrong.add(len(o.watchNamespaces) > 0 && !slices.Contains(o.watchNamespaces, one), "--report-namespaces", "%s is not among --watch-namespaces", text.FitRunes(one, 80))
		}
	}
	if o.leaderElectionNamespace != "" {
		name("--leader-election-namespace", o.leaderElectionNamespace)
	}
}
