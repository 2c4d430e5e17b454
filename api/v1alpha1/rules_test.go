package v1alpha1_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// rule is a constraint of the schema, with the message of its violation.
type rule struct{ field, message string }

// index matches what differs between the paths of faults of one field.
var index = regexp.MustCompile(`\[\d+\]`)

// wantEveryRuleBroken checks that each constraint of the spec's schema was violated at least once: a rule that no test
// violates may have no effect.
func wantEveryRuleBroken(t *testing.T, found []violation) {
	t.Helper()
	rules := schemaRules(t)
	if len(rules) < 100 {
		t.Fatalf("got %d rules of the schema, want all", len(rules))
	}
	for _, r := range rules {
		broken := false
		for _, f := range found {
			field, last := index.ReplaceAllString(f.field, "[]"), r.field
			if parent, ofMap := strings.CutSuffix(r.field, "[*]"); ofMap {
				field, last = field[:max(strings.LastIndex(field, "."), 0)], parent
			}
			broken = broken || field == last && strings.Contains(f.message, r.message)
		}
		if !broken {
			t.Errorf("no test breaks %q of %s", r.message, r.field)
		}
	}
}

// schemaOf returns the generated schema of a MonitoringReport, without the fields of all objects.
func schemaOf(t *testing.T) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree.Root(), "config/crd/bases/monitoring.watchbill.dev_monitoringreports.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		t.Fatal(err)
	}
	root := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, name := range []string{"apiVersion", "kind", "metadata"} {
		delete(root.Properties, name)
	}
	return root
}

// walk visits a field and all fields below it.
func walk(t *testing.T, field string, s apiextensionsv1.JSONSchemaProps, visit func(string, apiextensionsv1.JSONSchemaProps)) {
	t.Helper()
	visit(field, s)
	for _, name := range keys(s.Properties) {
		walk(t, strings.TrimPrefix(field+"."+name, "."), s.Properties[name], visit)
	}
	if s.Items != nil {
		walk(t, field+"[]", *s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil {
		walk(t, field+"[*]", *s.AdditionalProperties.Schema, visit)
	}
}

// schemaRules returns the constraints of the spec, and of the object as a whole.
func schemaRules(t *testing.T) []rule {
	t.Helper()
	var rules []rule
	root := schemaOf(t)
	for _, validation := range root.XValidations {
		rules = append(rules, rule{"<nil>", validation.Message})
	}
	rules = append(rules, rule{"spec", "Required value"})
	walk(t, "spec", root.Properties["spec"], func(field string, s apiextensionsv1.JSONSchemaProps) {
		rules = append(rules, constraints(field, s)...)
	})
	return rules
}

// constraints returns the constraints of one field.
func constraints(field string, s apiextensionsv1.JSONSchemaProps) []rule {
	var rules []rule
	add := func(field, message string, args ...any) {
		rules = append(rules, rule{field, fmt.Sprintf(message, args...)})
	}
	if s.MinLength != nil {
		add(field, "should be at least %d chars long", *s.MinLength)
	}
	if s.MaxLength != nil {
		add(field, "may not be more than %d bytes", *s.MaxLength)
	}
	if s.Minimum != nil {
		add(field, "should be greater than or equal to %.0f", *s.Minimum)
	}
	if s.Maximum != nil {
		add(field, "should be less than or equal to %.0f", *s.Maximum)
	}
	if s.MinItems != nil {
		add(field, "should have at least %d items", *s.MinItems)
	}
	if s.MaxItems != nil {
		add(field, "must have at most %d items", *s.MaxItems)
	}
	if s.MaxProperties != nil {
		add(field, "must have at most %d items", *s.MaxProperties)
	}
	if s.Pattern != "" {
		add(field, "should match")
	}
	if s.Enum != nil {
		add(field, "Unsupported value")
	}
	if s.XListType != nil && *s.XListType != "atomic" {
		add(field+"[]", "Duplicate value")
	}
	for _, validation := range s.XValidations {
		add(field, "%s", validation.Message)
	}
	for _, name := range s.Required {
		add(field+"."+name, "Required value")
	}
	return rules
}
