package desired

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/text"
)

const maxOutputs = 8

var (
	folderSyntax   = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
	bucketSyntax   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	endpointSyntax = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)
	regionSyntax   = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)
)

func (f *faults) outputs(outputs []v1alpha1.Output) {
	if len(outputs) > maxOutputs {
		f.add("spec.outputs", "there may be %d, not %d", maxOutputs, len(outputs))
		return
	}
	first := map[string]int{}
	for i, o := range outputs {
		path := fmt.Sprintf("spec.outputs[%d]", i)
		f.output(path, o)
		file := fileOf(o)
		if before, twice := first[file]; twice && file != "" {
			f.add(path, "writes the same files as spec.outputs[%d]; give it another format or folder", before)
		} else {
			first[file] = i
		}
	}
}

func (f *faults) output(path string, o v1alpha1.Output) {
	f.oneOf(path+".format", string(o.Format), "HTML", "JSON", "Markdown", "CSV")
	var targets []string
	if v := o.PersistentVolumeClaim; v != nil {
		targets = append(targets, "persistentVolumeClaim")
		f.object(path+".persistentVolumeClaim.claimName", "PersistentVolumeClaim", v.ClaimName)
		f.folder(path+".persistentVolumeClaim.path", v.Path)
	}
	if s := o.S3; s != nil {
		targets = append(targets, "s3")
		f.s3(path+".s3", s)
	}
	if w := o.Webhook; w != nil {
		targets = append(targets, "webhook")
		f.webhook(path+".webhook", o.Format, w)
	}
	switch len(targets) {
	case 0:
		f.add(path, "must have one of persistentVolumeClaim, s3, webhook")
	case 1:
	default:
		f.add(path, "must have only one of %s", strings.Join(targets, ", "))
	}
}

func (f *faults) s3(path string, s *v1alpha1.S3Output) {
	if !bucketSyntax.MatchString(s.Bucket) || strings.Contains(s.Bucket, "..") {
		f.add(path+".bucket", "must be 3 to 63 of a-z, 0-9, . and -, and begin and end with a letter or digit, not %s", text.Quote(s.Bucket, 40))
	}
	f.folder(path+".prefix", s.Prefix)
	endpoint, err := url.Parse(s.Endpoint)
	if err != nil || !endpointSyntax.MatchString(s.Endpoint) || !portExists(endpoint.Port()) {
		f.add(path+".endpoint", "must be a URL of http or https without a path, such as https://s3.eu-central-1.amazonaws.com, not %s", text.Quote(s.Endpoint, 40))
	}
	if !regionSyntax.MatchString(s.Region) {
		f.add(path+".region", "must be a region such as eu-central-1, not %s", text.Quote(s.Region, 40))
	}
	f.object(path+".secretRef.name", "Secret", s.SecretRef.Name)
}

func (f *faults) webhook(path string, format v1alpha1.Format, w *v1alpha1.WebhookOutput) {
	f.object(path+".urlSecretRef.name", "Secret", w.URLSecretRef.Name)
	if len(validation.IsConfigMapKey(w.URLSecretRef.Key)) > 0 {
		f.add(path+".urlSecretRef.key", "must be a key that a Secret can have, not %s", text.Quote(w.URLSecretRef.Key, 40))
	}
	if w.Style == "" {
		return
	}
	f.oneOf(path+".style", string(w.Style), string(v1alpha1.WebhookSlack), string(v1alpha1.WebhookGeneric))
	if w.Style == v1alpha1.WebhookSlack && format != v1alpha1.FormatMarkdown {
		f.add(path+".style", "Slack takes the format Markdown; change one of them")
	}
}

// object checks the name of an object that a report refers to.
func (f *faults) object(field, kind, name string) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		f.add(field, "must be a name that a %s can have, not %s", kind, text.Quote(name, 40))
	}
}

// folder checks that a path stays within the volume or bucket.
func (f *faults) folder(field, s string) {
	if s == "" {
		return
	}
	const limit = 256
	dots := false
	for part := range strings.SplitSeq(s, "/") {
		dots = dots || part == "." || part == ".."
	}
	if len(s) > limit || dots || !folderSyntax.MatchString(s) {
		f.add(field, "must be folders such as reports/daily, in at most %d characters of A-Z, a-z, 0-9, _, . and -, not . or .., not %s", limit, text.Quote(s, 40))
	}
}

func portExists(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// fileOf identifies the files that an output writes, without the report and slot that all outputs have in common. It is
// empty if the output writes none.
func fileOf(o v1alpha1.Output) string {
	switch {
	case o.PersistentVolumeClaim != nil:
		return fmt.Sprintf("volume %s/%s.%s", o.PersistentVolumeClaim.ClaimName, o.PersistentVolumeClaim.Path, o.Format)
	case o.S3 != nil:
		return fmt.Sprintf("%s/%s/%s.%s", store(o.S3.Endpoint), o.S3.Bucket, o.S3.Prefix, o.Format)
	}
	return ""
}

// store normalises an endpoint.
func store(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
