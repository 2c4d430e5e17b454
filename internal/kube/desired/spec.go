package desired

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// jobSpec returns the spec passed to a report's Pods.
func jobSpec(r Resolved, opts Options) reportjob.Spec {
	spec := r.Spec
	job := reportjob.Spec{
		Namespace:   r.Namespace,
		Name:        r.Name,
		Schedule:    spec.Schedule,
		TimeZone:    spec.TimeZone,
		Window:      spec.Window,
		CompareWith: report.CompareWith(spec.CompareWith),
		Objectives:  r.written,
		Keep:        int(spec.Retention.Reports),

		AllowedOutputs: opts.AllowedOutputs,
	}
	for _, section := range spec.Sections {
		job.Sections = append(job.Sections, string(section))
	}
	for i, o := range spec.Outputs {
		job.Outputs = append(job.Outputs, jobOutput(i, o))
	}
	return job
}

// jobOutput returns the i-th output with its mount paths.
func jobOutput(i int, o v1alpha1.Output) reportjob.Output {
	made := reportjob.Output{Format: format(o.Format)}
	if v := o.PersistentVolumeClaim; v != nil {
		made.File = &reportjob.File{Root: outputFolder(i), Path: v.Path, Volume: v.ClaimName}
	}
	if s := o.S3; s != nil {
		made.S3 = &reportjob.S3{
			Bucket: s.Bucket, Prefix: s.Prefix, Endpoint: s.Endpoint, Region: s.Region,
			Credentials: secretFolder(i), Secret: s.SecretRef.Name,
		}
	}
	if w := o.Webhook; w != nil {
		made.Webhook = &reportjob.Webhook{
			URLFile: secretFolder(i) + "/" + urlFile,
			Secret:  w.URLSecretRef.Name + "/" + w.URLSecretRef.Key,
			Style:   style(w.Style),
		}
	}
	return made
}

func format(f v1alpha1.Format) report.Format { return report.Format(strings.ToLower(string(f))) }

func style(s v1alpha1.WebhookStyle) reportjob.Style {
	if s == v1alpha1.WebhookSlack {
		return reportjob.Slack
	}
	return reportjob.Generic
}

// encoded encodes a spec as JSON for an environment variable. The kubelet expands $(NAME) and $$, so dollar signs are
// escaped.
func encoded(spec reportjob.Spec) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // which writes < as \u003c
	if err := encoder.Encode(spec); err != nil {
		panic(fmt.Sprintf("a reportjob.Spec that cannot be JSON: %v", err)) // it is of strings and numbers
	}
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "$", `\u0024`)
}
