package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/schedule"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	// MaxSpec is the maximum size of a spec's JSON in bytes. Linux limits variables to 128 KiB.
	MaxSpec = 128 << 10
	// MaxOutputs is the maximum number of outputs.
	MaxOutputs = 8

	maxName   = 40  // bytes of a MonitoringReport's name
	maxObject = 253 // bytes of other objects' names, and of keys
	maxText   = 256 // bytes of paths, prefixes and endpoints
)

// ParseSpec parses a spec strictly. If it is JSON, the error is report.FieldErrors with all faults.
func ParseSpec(content string, now time.Time) (Spec, error) {
	if len(content) > MaxSpec {
		return Spec{}, fmt.Errorf("the spec is over %d bytes", MaxSpec)
	}
	if strings.TrimSpace(content) == "" {
		return Spec{}, errors.New("the spec is empty")
	}
	decoder := json.NewDecoder(strings.NewReader(content))
	decoder.DisallowUnknownFields()
	var s Spec
	if err := decoder.Decode(&s); err != nil {
		return Spec{}, fmt.Errorf("the spec cannot be read: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Spec{}, errors.New("the spec cannot be read: something follows it")
	}
	var f faults
	f.check(s, now)
	if len(f) > 0 {
		return Spec{}, report.FieldErrors(f)
	}
	return s, nil
}

var (
	label     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
	secretKey = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	bucket    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	endpoint  = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)
	region    = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)
	folders   = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
)

// faults collects errors.
type faults report.FieldErrors

func (f *faults) add(wrong bool, field, format string, args ...any) {
	if wrong {
		*f = append(*f, report.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
}

func (f *faults) check(s Spec, now time.Time) {
	f.add(!label.MatchString(s.Namespace), "namespace", "must be the name of a namespace, not %s", text.Quote(s.Namespace, 40))
	f.add(len(s.Name) > maxName || !subdomain.MatchString(s.Name), "name", "must be the name of a MonitoringReport, not %s", text.Quote(s.Name, 40))
	f.schedule(s, now)
	if s.Window != "" {
		d, err := time.ParseDuration(s.Window)
		f.add(err != nil || d < time.Minute || d > report.MaxHours*time.Hour || d%time.Minute != 0,
			"window", "must be whole minutes from 1m to %dh, not %s", report.MaxHours, text.Quote(s.Window, 40))
	}
	f.add(s.CompareWith == "", "compareWith", "must be %s or %s", report.ComparePrevious, report.CompareNone)
	// Any window will do, since the real one depends on the run.
	_, err := report.ParseRequest(s.Request(report.Window{From: now.Add(-time.Hour), To: now}), 1, now)
	var theirs report.FieldErrors
	if errors.As(err, &theirs) {
		for _, fault := range theirs {
			f.add(fault.Field != "name", strings.ReplaceAll(fault.Field, "compare_with", "compareWith"), "%s", fault.Problem)
		}
	}
	if _, err := ParseAllowed(s.AllowedOutputs); err != nil {
		f.add(true, "allowedOutputs", "%v", err)
	}
	if len(s.Outputs) > MaxOutputs {
		f.add(true, "outputs", "there may be %d, not %d", MaxOutputs, len(s.Outputs))
		return
	}
	for i, output := range s.Outputs {
		f.output(fmt.Sprintf("outputs[%d]", i), output)
	}
}

func (f *faults) schedule(s Spec, now time.Time) {
	zone := s.TimeZone
	if _, err := schedule.Parse("@hourly", zone, now); err != nil {
		f.add(true, "timeZone", "must be a name of the IANA's database, such as Europe/Berlin, not %s", text.Quote(zone, 40))
		zone = "Etc/UTC" // to find the schedule's other faults
	}
	if _, err := schedule.Parse(s.Schedule, zone, now); err != nil {
		f.add(true, "schedule", "%s", strings.TrimPrefix(err.Error(), "schedule "))
	}
}

func (f *faults) output(field string, o Output) {
	_, known := extensions[o.Format]
	f.add(!known, field+".format", "must be html, json, markdown, csv or text, not %s", text.Quote(string(o.Format), 40))
	targets := 0
	if o.File != nil {
		targets++
		f.file(field+".file", *o.File)
	}
	if o.S3 != nil {
		targets++
		f.s3(field+".s3", *o.S3)
	}
	if o.Webhook != nil {
		targets++
		f.webhook(field+".webhook", *o.Webhook)
	}
	f.add(targets != 1, field, "must have exactly one of file, s3 and webhook")
}

func (f *faults) file(field string, o File) {
	f.absolute(field+".root", o.Root)
	f.folders(field+".path", o.Path)
	f.object(field+".volume", o.Volume)
}

func (f *faults) s3(field string, o S3) {
	f.add(!bucket.MatchString(o.Bucket) || strings.Contains(o.Bucket, ".."), field+".bucket", "must be the name of a bucket, not %s", text.Quote(o.Bucket, 40))
	f.folders(field+".prefix", o.Prefix)
	u, err := url.Parse(o.Endpoint)
	f.add(err != nil || len(o.Endpoint) > maxText || !endpoint.MatchString(o.Endpoint) || !portExists(u.Port()), field+".endpoint",
		"must be a URL of http or https without a path, such as https://s3.eu-central-1.amazonaws.com, not %s", text.Quote(o.Endpoint, 40))
	f.add(!region.MatchString(o.Region), field+".region", "must be a region such as eu-central-1, not %s", text.Quote(o.Region, 40))
	f.absolute(field+".credentials", o.Credentials)
	f.object(field+".secret", o.Secret)
}

func (f *faults) webhook(field string, o Webhook) {
	f.absolute(field+".urlFile", o.URLFile)
	name, key, found := strings.Cut(o.Secret, "/")
	f.object(field+".secret", name)
	f.add(!found || len(key) > maxObject || !secretKey.MatchString(key), field+".secret", "must be a Secret's name and key, such as hook/url, not %s", text.Quote(o.Secret, 40))
	f.add(o.Style != Slack && o.Style != Generic, field+".style", "must be %s or %s, not %s", Slack, Generic, text.Quote(string(o.Style), 40))
}

func (f *faults) object(field, name string) {
	f.add(len(name) > maxObject || !subdomain.MatchString(name), field, "must be the name of an object, not %s", text.Quote(name, 40))
}

func (f *faults) absolute(field, s string) {
	f.add(!path.IsAbs(s) || path.Clean(s) != s || len(s) > maxText || OneLine(s) != s, field, "must be an absolute path, not %s", text.Quote(s, 40))
}

// folders checks a path below a root.
func (f *faults) folders(field, s string) {
	if s == "" {
		return
	}
	dots := false
	for part := range strings.SplitSeq(s, "/") {
		dots = dots || part == "." || part == ".."
	}
	f.add(dots || len(s) > maxText || !folders.MatchString(s), field, "must be folders such as reports/daily, not %s", text.Quote(s, 40))
}

func portExists(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
