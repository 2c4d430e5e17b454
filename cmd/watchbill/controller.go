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

// gcPercent is by how much the controller's heap grows until garbage is collected, unless GOGC says otherwise. Of what it
// holds nearly all is cache and stays, so that to collect twice as often as Go does costs little.
const gcPercent = 50

// askTimeout is how long the API may take to say what came of a report's run.
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
		Short: "Make reports and alerts of the MonitoringReports in a Kubernetes cluster",
		Long: `Make reports and alerts of the MonitoringReports in a Kubernetes cluster, until SIGTERM or SIGINT. Of several replicas one
works, and the others wait to take over. Every flag can be set by an environment variable: --some-flag by
WATCHBILL_SOME_FLAG.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), std) },
	}
	o.bind(cmd.Flags())
	return cmd
}

func (o *controllerOptions) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.metricsListen, "metrics-listen", ":9090", "`address` of Prometheus's /metrics; 0: none")
	flags.StringVar(&o.healthListen, "health-listen", ":8081", "`address` of /healthz and /readyz; 0: none")
	flags.BoolVar(&o.leaderElect, "leader-elect", true, "let one replica work at a time")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "`namespace` of the Lease for that; left out: the controller's own")
	flags.StringSliceVar(&o.watchNamespaces, "watch-namespaces", nil, "`namespaces` where MonitoringReports are looked for, separated by commas; left out: all")
	flags.StringSliceVar(&o.reportNamespaces, "report-namespaces", nil, "`namespaces` where reports may be made, separated by commas, * for all: they show the whole fleet, its users and costs; left out: the controller's own")
	flags.StringVar(&o.image, "image", "", "`image` of the Pods that make reports: this program's own")
	flags.StringVar(&o.imagePullPolicy, "image-pull-policy", "", "when it is pulled: Always, IfNotPresent or Never; left out: as the cluster has it")
	flags.StringSliceVar(&o.imagePullSecrets, "image-pull-secrets", nil, "`secrets` to pull it with, in the reports' namespaces, separated by commas")
	flags.StringToStringVar(&o.reportRequests, "report-requests", map[string]string{"cpu": "20m", "memory": "64Mi"}, "`resources` that a Pod that makes a report asks for")
	flags.StringToStringVar(&o.reportLimits, "report-limits", map[string]string{"memory": "256Mi"}, "`resources` that it may not exceed")
	flags.StringVar(&o.connection.server, "server", "", "`URL` of the API, as Pods reach it")
	flags.StringVar(&o.connection.caFile, "ca-file", "", "`file` of certificates (PEM) of authorities to trust beside the system's")
	flags.StringVar(&o.tokenFile, "token-file", "", "`file` with the controller's ServiceAccount token for the API, which is asked about runs whose Pod is gone; left out: it is not asked")
	flags.StringSliceVar(&o.allowedOutputs, "allowed-outputs", nil, "`patterns` of where reports may be delivered to, separated by commas: hosts (hooks.slack.com, *.example.com), addresses (10.96.0.0/12) and buckets (s3://reports); left out: anywhere")
	flags.StringToStringVar(&o.selector, "metrics-selector", nil, "`labels` that all series of the API have in Prometheus, such as job=watchbill,namespace=fleet")
	flags.StringToStringVar(&o.controllerSelector, "controller-metrics-selector", nil, "the same `labels` of the controller's series")
	flags.StringVar(&o.runbookURL, "runbook-url", rules.DefaultRunbookURL, "`URL` that the alerts' runbooks are under, where a report names none")
	flags.StringVar(&o.rulesTarget, "rules-target", string(rules.Prometheus), "what evaluates the rules: prometheus, victoriametrics or mimir")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "`file` that says how to reach the cluster; left out: $KUBECONFIG, or the Pod's own account")
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

// check returns what the flags say, or every fault of theirs.
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

// cluster returns how to reach the cluster, and the controller's own namespace there.
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

// namespaces fills in and checks the flags that name some.
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
