package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubejson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/rules"
	"github.com/watchbill/watchbill/internal/server"
	"github.com/watchbill/watchbill/internal/text"
)

// maxManifest is the maximum size in bytes of a file of MonitoringReports. Kubernetes stores no larger object.
const maxManifest = 1 << 20

// The output formats of `watchbill rules`.
const (
	kindRules          = "rules"
	kindPrometheusRule = "PrometheusRule"
	kindConfigMap      = "ConfigMap"
)

// rulesOptions are the flags of `watchbill rules`.
type rulesOptions struct {
	file, namespace, kind, output string
	tests                         bool
	ruleFile                      string
	selector, controllerSelector  map[string]string
	runbookURL, target            string
}

func rulesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o rulesOptions
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Print the alerting rules of a MonitoringReport",
		Long: `Print the Prometheus rules that the controller would create for a MonitoringReport, without a cluster: a rule file for
Prometheus and promtool. With --tests it prints unit tests for promtool that show each alert firing, resolving and staying
quiet.

The file may hold several documents, in YAML or JSON; documents of other kinds are skipped. Notes about the alerts go to
standard error.

Exit status: 0; 1 if the output cannot be written; 2 if the file or the command line is wrong.`,
		Example: `  watchbill rules --file report.yaml | promtool check rules
  watchbill rules --file report.yaml --output rules.yaml
  watchbill rules --file report.yaml --tests --rule-file "$PWD/rules.yaml" | promtool test rules /dev/stdin
  watchbill rules --file report.yaml --kind PrometheusRule | kubectl apply -f -
  watchbill rules --file report.yaml --target victoriametrics --kind ConfigMap | kubectl apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(newConsole(std, env), cmd.Flags().Changed("rule-file"))
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "file", "f", "", "`file` with MonitoringReports, or - for standard input")
	flags.StringVarP(&o.namespace, "namespace", "n", "default", "`namespace` of MonitoringReports that name none")
	flags.StringVar(&o.kind, "kind", kindRules, "`kind` of output: rules (a rule file), PrometheusRule (for clusters with the Prometheus operator) or ConfigMap (for those without)")
	flags.StringVar(&o.target, "target", string(rules.Prometheus), "`system` that evaluates the rules: prometheus, victoriametrics or mimir")
	flags.BoolVar(&o.tests, "tests", false, "print unit tests of the rules instead, for promtool, or for vmalert-tool with --target victoriametrics")
	flags.StringVar(&o.ruleFile, "rule-file", "rules.yaml", "rule `file` that the unit tests of --tests load, as a path seen from the tests' file")
	flags.StringToStringVar(&o.selector, "selector", nil, "`labels` that select the API's series in Prometheus, such as job=watchbill,namespace=fleet")
	flags.StringToStringVar(&o.controllerSelector, "controller-selector", nil, "`labels` that select the controller's series in Prometheus, such as job=watchbill-controller")
	flags.StringVar(&o.runbookURL, "runbook-url", rules.DefaultRunbookURL, "base `URL` of the alerts' runbooks, for reports that name none")
	flags.StringVarP(&o.output, "output", "o", "", "`file` to write instead of standard output")
	return cmd
}

func (o rulesOptions) run(c console, ruleFileGiven bool) error {
	var wrong faults
	kinds := []string{kindRules, kindPrometheusRule, kindConfigMap}
	wrong.add(!slices.Contains(kinds, o.kind), "--kind", "must be %s or %s, not %q", strings.Join(kinds[:2], ", "), kinds[2], text.FitRunes(o.kind, 40))
	wrong.add(o.tests && o.kind != kindRules, "--tests", "apply only to --kind rules")
	wrong.add(ruleFileGiven && !o.tests, "--rule-file", "requires --tests")
	_, _, err := rules.Build(rules.Report{Namespace: "x", Name: "x"}, o.options())
	var fields report.FieldErrors
	if errors.As(err, &fields) { // a fault of the flags, not of the report
		for _, fault := range fields {
			wrong.add(true, flagOf(fault.Field), "%s", text.OneLine(fault.Problem))
		}
	}
	var content []byte
	if wrong.add(o.file == "", "--file", "is required"); o.file != "" {
		content, err = readManifest(c.in, o.file)
		wrong.keep("--file", err)
	}
	if err := wrong.err(); err != nil {
		return err
	}
	reports, err := readReports(content, o.file, o.namespace, time.Now())
	if err != nil {
		return err
	}
	printed, notes, err := o.print(reports)
	if err != nil {
		return usageError(err)
	}
	for _, note := range notes {
		c.say(note)
	}
	if o.output == "" {
		_, err := c.text().Write(printed)
		return err
	}
	file, err := createFile(o.output)
	if err != nil {
		return err
	}
	defer file.discard()
	return file.commit(printed)
}

func (o rulesOptions) options() rules.Options {
	return rules.Options{
		Selector: o.selector, ControllerSelector: o.controllerSelector, RunbookURL: o.runbookURL,
		Target: rules.Target(o.target), Routes: apiRoutes(),
	}
}

// apiRoutes returns the API's routes in this version.
func apiRoutes() []rules.Route {
	var routes []rules.Route
	for _, r := range server.Routes() {
		routes = append(routes, rules.Route{Method: r.Method, Pattern: r.Pattern, Probe: report.IsProbe(r.Pattern)})
	}
	return routes
}

// flagOf returns the flag that sets a field of rules.Options.
func flagOf(field string) string {
	for prefix, flag := range map[string]string{"controllerSelector": "--controller-selector", "runbookURL": "--runbook-url", "target": "--target"} {
		if len(field) >= len(prefix) && field[:len(prefix)] == prefix {
			return flag
		}
	}
	return "--selector"
}

// print returns the requested output and notes for stderr.
func (o rulesOptions) print(reports []*v1alpha1.MonitoringReport) (printed []byte, notes []string, err error) {
	var file rules.File
	var of []rules.Report
	var objects [][]byte
	for _, mr := range reports {
		resolved := desired.Resolve(mr)
		of = append(of, resolved.Rules)
		built, theirs, err := rules.Build(resolved.Rules, o.options())
		if err != nil {
			return nil, nil, fmt.Errorf("%s/%s: %w", mr.Namespace, mr.Name, err)
		}
		file.Groups = append(file.Groups, built.Groups...)
		for _, note := range theirs {
			notes = append(notes, fmt.Sprintf("objective %s of %s/%s: %s", note.Objective, mr.Namespace, mr.Name, note.Text))
		}
		object, err := o.object(resolved, built)
		if err != nil {
			return nil, nil, err
		}
		if object != nil {
			objects = append(objects, object)
		}
	}
	if groups := len(file.Groups); rules.Target(o.target) == rules.Mimir && groups > rules.MaxMimirGroups {
		notes = append(notes, fmt.Sprintf("%d groups; a tenant of Mimir may have at most %d unless ruler_max_rule_groups_per_tenant is raised", groups, rules.MaxMimirGroups))
	}
	switch {
	case o.tests:
		printed, err = rules.TestsOf(of, o.options(), o.ruleFile)
	case o.kind != kindRules:
		printed = bytes.Join(objects, []byte("---\n"))
	default:
		printed, err = file.YAML()
	}
	return printed, notes, err
}

// object returns what the controller applies, without the owner reference, which exists only in the cluster; or a
// ConfigMap with the same rules, for a Prometheus that reads rule files from a volume. It returns nil for a report
// without alerts.
func (o rulesOptions) object(r desired.Resolved, file rules.File) ([]byte, error) {
	object, _, err := desired.PrometheusRule(r, desired.Options{Rules: o.options()})
	if err != nil || object == nil {
		return nil, err
	}
	object.OwnerReferences = nil
	if o.kind != kindConfigMap {
		return yaml.Marshal(object)
	}
	text, err := file.YAML()
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(&corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kindConfigMap},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: object.Namespace, Name: object.Name + "-rules", Labels: object.Labels, Annotations: object.Annotations,
		},
		Data: map[string]string{fmt.Sprintf("watchbill.%s.%s.yaml", r.Namespace, r.Name): string(text)},
	})
}

func readManifest(stdin io.Reader, path string) ([]byte, error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err == nil && len(content) > maxManifest {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxManifest)
	}
	return content, err
}

// readReports reads the MonitoringReports of a file. The error names every fault of all of them.
func readReports(content []byte, path, namespace string, now time.Time) ([]*v1alpha1.MonitoringReport, error) {
	var wrong faults
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	decoder := kubejson.NewSerializerWithOptions(kubejson.DefaultMetaFactory, scheme, scheme, kubejson.SerializerOptions{Yaml: true, Strict: true})
	documents := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var reports []*v1alpha1.MonitoringReport
	first := map[string]int{} // document numbers by namespace and name
	for number := 1; ; number++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		where := fmt.Sprintf("%s: document %d", text.OneLine(path), number)
		if err != nil {
			wrong.keep(where, err)
			break
		}
		mr := decodeManifest(&wrong, where, decoder, document)
		if mr == nil {
			continue
		}
		if mr.Namespace == "" {
			mr.Namespace = namespace
		}
		name := mr.Namespace + "/" + mr.Name
		wrong.add(first[name] > 0, where, "%s is in document %d too", text.OneLine(name), first[name])
		first[name] = number
		for _, fault := range specFaults(mr, now) {
			wrong.add(true, where, "%s: %s", text.OneLine(fault.Field), text.OneLine(fault.Problem))
		}
		reports = append(reports, mr)
	}
	wrong.add(len(reports) == 0 && len(wrong) == 0, text.OneLine(path), "has no MonitoringReport")
	return reports, wrong.err()
}

// decodeManifest returns nil for empty documents and objects that are not MonitoringReports.
func decodeManifest(wrong *faults, where string, decoder runtime.Decoder, document []byte) *v1alpha1.MonitoringReport {
	var anything any
	if err := yaml.Unmarshal(document, &anything); err == nil && anything == nil {
		return nil
	}
	object, _, err := decoder.Decode(document, nil, nil)
	if runtime.IsNotRegisteredError(err) {
		return nil
	}
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, fault := range strict.Errors() {
			wrong.add(true, where, "%s", inOneLine(fault))
		}
	} else if err != nil {
		wrong.add(true, where, "%s", inOneLine(err))
	}
	mr, _ := object.(*v1alpha1.MonitoringReport) // lists are ignored too: kubectl creates none
	return mr
}

// numberForString matches the decoder's error about a number in a string field, as from YAML without quotes.
var numberForString = regexp.MustCompile(`json: cannot unmarshal number into Go struct field \w+\.(\S+) of type string`)

// inOneLine joins the lines of an error and shortens it, since it may quote a whole document.
func inOneLine(err error) string {
	line := strings.Join(strings.Fields(err.Error()), " ")
	line = numberForString.ReplaceAllString(line, `$1 must be a string, not a number: put it in quotes`)
	return text.FitRunes(text.OneLine(line), 300)
}

// specFaults returns the faults that the controller would find.
func specFaults(mr *v1alpha1.MonitoringReport, now time.Time) report.FieldErrors {
	err := desired.Check(desired.Resolve(mr), now)
	var fields report.FieldErrors
	if err != nil && !errors.As(err, &fields) {
		fields = report.FieldErrors{{Field: "spec", Problem: err.Error()}}
	}
	return fields
}
