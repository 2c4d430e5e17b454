package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestRefusals checks that wrong values are rejected with a message that names them.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		set  []string
		want []string
	}{
		{"a typo at the top", []string{"postgressql.mode=external"}, []string{"postgressql"}},
		{"several typos", []string{"api.replicaCount=3", "controller.resource.limits=1"}, []string{"/api", "replicaCount", "/controller", "'resource'"}},
		{"a flag that does not exist", []string{"api.config.keep-execution=1h"}, []string{"/api/config", "keep-execution"}},
		{"a flag that the chart sets", []string{"api.config.listen=:1"}, []string{"/api/config", "listen"}},
		{"a duration without unit", []string{"api.config.keep-executions=90"}, []string{"/api/config/keep-executions"}},
		{"a mode", []string{"postgresql.mode=internal"}, []string{"/postgresql/mode", "cloudnativepg"}},
		{"a rate limit", []string{"api.rateLimits[0]=gateway/user=60/minute"}, []string{"/api/rateLimits/0"}},
		{"a redaction", []string{"api.redact[0]=builtin:phone"}, []string{"/api/redact/0"}},
		{"neither auto nor a truth value", []string{"serviceMonitor.enabled=maybe"}, []string{"/serviceMonitor/enabled"}},
		{"an alert", []string{"prometheusRule.disabled[0]=WatchbilDown"}, []string{"/prometheusRule/disabled/0", "WatchbillDown"}},
		{"a secret variable without key", []string{"gateway.secretEnv.OPENAI_API_KEY.name=openai"}, []string{"/gateway/secretEnv/OPENAI_API_KEY", "key"}},
		{"an ingress without host", []string{"api.ingress.enabled=true"}, []string{"/api/ingress", "hosts"}},
		{"a token in place of its hash", []string{"enrollment.tokens[0].sha256=a-token"}, []string{"/enrollment/tokens/0/sha256"}},
		{"an enrolment token without its hash", []string{"enrollment.tokens[0].maxAgents=5"}, []string{"/enrollment/tokens/0", "sha256"}},
		{"an enrolment token's limit with a typo", []string{"enrollment.tokens[0].maxAgent=5"}, []string{"/enrollment/tokens/0", "maxAgent"}},
		{"a quantity", []string{"api.spool.sizeLimit=1GB"}, []string{"/api/spool/sizeLimit"}},

		{"no external database", []string{"postgresql.mode=external"}, []string{"postgresql.external.existingSecret", "kubectl -n fleet create secret"}},
		{"a spool that replicas cannot share", []string{"api.spool.persistence.enabled=true", "api.spool.persistence.accessModes={ReadWriteOnce}"}, []string{"api.spool.persistence.accessModes", "ReadWriteMany"}},
		{"too little time to stop", []string{"api.shutdown.terminationGracePeriodSeconds=30"}, []string{"api.shutdown.terminationGracePeriodSeconds", "35"}},
		{"a controller whose reports are let in nowhere", []string{"kubernetesAuth.enabled=false"}, []string{"kubernetesAuth.enabled", "controller.enabled"}},
		{"reports where nobody watches", []string{"watchNamespaces={a,b}"}, []string{"reportNamespaces: fleet", "watchNamespaces"}},
		{"all namespaces and one", []string{"reportNamespaces={*,a}"}, []string{"reportNamespaces"}},
		{"an authority without certificate", []string{"api.tls.caKey=ca.crt"}, []string{"api.tls.caKey", "api.tls.secretName"}},
		{"a maximum below the minimum", []string{"api.autoscaling.enabled=true", "api.autoscaling.minReplicas=20"}, []string{"api.autoscaling.minReplicas"}},
		{"gRPC by a flag", []string{"api.config.otlp-grpc-listen=:4317"}, []string{"/api/config", "otlp-grpc-listen"}},
		{"an ingress for gRPC alone", []string{"api.otlpGRPC.enabled=true", "api.otlpGRPC.ingress=true"}, []string{"api.otlpGRPC.ingress", "api.ingress.enabled"}},
		{"an ingress for gRPC without TLS", []string{"api.otlpGRPC.enabled=true", "api.otlpGRPC.ingress=true", "api.ingress.enabled=true", "api.ingress.hosts={a.example}"}, []string{"api.otlpGRPC.ingress", "api.ingress.tls"}},
		{"two authorities", []string{"postgresql.mode=external", "postgresql.external.existingSecret=db", "postgresql.external.tls.caSecretName=a", "postgresql.external.tls.caConfigMapName=b"}, []string{"postgresql.external.tls.caConfigMapName"}},
		{"an authority of the bundled database", []string{"postgresql.external.tls.caSecretName=a"}, []string{"postgresql.external.tls", "postgresql.mode external"}},
		{"a name with a dot", []string{"fullnameOverride=my.fleet"}, []string{"fullnameOverride", "my.fleet-api", "Service"}},
		{"a name of capitals", []string{"nameOverride=Fleet"}, []string{"the release's name and nameOverride", "watchbill-Fleet-api"}},
		{"a label's value", []string{"commonLabels.team=a b"}, []string{"/commonLabels/team"}},
		{"a label's name", []string{"api.podLabels.a/b/c=d"}, []string{"a/b/c"}},
		{"two faults, both named", []string{"postgresql.mode=external", "kubernetesAuth.enabled=false"}, []string{"existingSecret", "kubernetesAuth"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"template", "watchbill", chartFile(), "--namespace", "fleet", "--kube-version", kubeVersion}
			for _, set := range c.set {
				args = append(args, "--set", set)
			}
			_, err := helm(t, args...)
			if err == nil {
				t.Fatal("it is rendered")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message does not name %s: %v", want, err)
				}
			}
		})
	}
}

func TestOldKubernetes(t *testing.T) {
	t.Parallel()
	_, err := helm(t, "template", "watchbill", chartFile(), "--kube-version", "1.29.9")
	if err == nil || !strings.Contains(err.Error(), "kubeVersion") {
		t.Errorf("preStop.sleep is not in 1.29 by default, and the chart renders: %v", err)
	}
}

type schema map[string]any

func (s schema) under(key string) schema { child, _ := s[key].(map[string]any); return child }

func readSchema(t *testing.T) schema {
	t.Helper()
	var s schema
	if err := json.Unmarshal([]byte(readFile(t, chartFile("values.schema.json"))), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// resolved resolves a reference.
func (s schema) resolved(node schema) schema {
	if name, ok := node["$ref"].(string); ok {
		return s.under("$defs").under(strings.TrimPrefix(name, "#/$defs/"))
	}
	return node
}

// TestSchemaAndValues checks that every value is in the schema and has a comment, that everything in the schema has a
// default, and that the schema admits nothing else.
func TestSchemaAndValues(t *testing.T) {
	t.Parallel()
	text := readFile(t, chartFile("values.yaml"))
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	root := readSchema(t)
	var walk func(path string, node schema, values map[string]any)
	walk = func(path string, node schema, values map[string]any) {
		node = root.resolved(node)
		properties := node.under("properties")
		if node["additionalProperties"] != false {
			t.Errorf("%s: the schema takes any name", path)
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			child, ok := properties[name].(map[string]any)
			if !ok {
				t.Errorf("%s.%s is not in the schema", path, name)
				continue
			}
			if object, ok := values[name].(map[string]any); ok && root.resolved(child)["properties"] != nil && len(object) > 0 && !strings.HasSuffix(strings.ToLower(name), "resources") {
				walk(path+"."+name, child, object)
			}
		}
		for name := range properties {
			if _, ok := values[name]; !ok && (path != "" || name != "global") { // global is Helm's
				t.Errorf("%s.%s is in the schema, and has no default", path, name)
			}
		}
	}
	walk("", root, values)

	uncommented := regexp.MustCompile(`^ *[A-Za-z]+: .+|^ *[A-Za-z]+:$`)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !uncommented.MatchString(line) || strings.HasPrefix(strings.TrimSpace(lines[max(i-1, 0)]), "#") {
			continue
		}
		if indent := len(line) - len(strings.TrimLeft(line, " ")); strings.HasSuffix(line, ":") && indent < len(lines[i+1])-len(strings.TrimLeft(lines[i+1], " ")) {
			continue // a group; its members have comments
		}
		if inside := slices.ContainsFunc([]string{"requests:", "limits:", "max_connections:", "grafana_dashboard:"}, func(name string) bool {
			return strings.HasPrefix(strings.TrimSpace(line), name)
		}); !inside {
			t.Errorf("values.yaml:%d has no comment: %s", i+1, line)
		}
	}
}

// TestFlagsOfSchema checks that api.config accepts the program's flags, except those that the chart sets itself.
func TestFlagsOfSchema(t *testing.T) {
	t.Parallel()
	set := []string{
		"admin-token", "agents-file", "database-direct-url", "database-url", "enrollment-file", "enrollment-token", "help", "ingest-token", "kubeconfig", "kubernetes-audience", "kubernetes-auth",
		"limit", "listen", "log-dir", "log-level", "metrics-listen", "migrate", "otlp-grpc-listen", "prices-file", "redact", "redact-names", "redact-names-key-file", "shutdown-delay",
		"shutdown-timeout", "spool-dir", "spool-max-bytes", "tls-cert-file", "tls-key-file", "trusted-proxies",
	}
	want := slices.DeleteFunc(flagsOf(t, "serve"), func(flag string) bool { return slices.Contains(set, flag) })
	got := slices.Sorted(maps.Keys(readSchema(t).under("properties").under("api").under("properties").under("config").under("properties")))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the schema of api.config has\n%s, the program\n%s", got, want)
	}
}
