package job

import (
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

// Spec is the part of a MonitoringReport that its Pods need.
type Spec struct {
	Namespace   string                `json:"namespace"`
	Name        string                `json:"name"`
	Schedule    string                `json:"schedule"`
	TimeZone    string                `json:"timeZone"`
	Window      string                `json:"window,omitempty"` // a Go duration; empty: since the slot before
	CompareWith report.CompareWith    `json:"compareWith"`
	Sections    []string              `json:"sections,omitempty"`   // empty: all
	Objectives  []objective.Objective `json:"objectives,omitempty"` // empty: the default ones
	Keep        int                   `json:"keep"`                 // reports, where they are kept
	Outputs     []Output              `json:"outputs,omitempty"`
	// AllowedOutputs are the operator's patterns of allowed outputs: see ParseAllowed. Empty: any.
	AllowedOutputs []string `json:"allowedOutputs,omitempty"`
}

// Output is a place to deliver the report to; one of File, S3 and Webhook is set.
type Output struct {
	Format  report.Format `json:"format"`
	File    *File         `json:"file,omitempty"`
	S3      *S3           `json:"s3,omitempty"`
	Webhook *Webhook      `json:"webhook,omitempty"`
}

// File is a folder to write to.
type File struct {
	Root   string `json:"root"`           // where the volume is mounted
	Path   string `json:"path,omitempty"` // below it, slash-separated
	Volume string `json:"volume"`         // the claim's name, for people
}

// S3 is a bucket.
type S3 struct {
	Bucket      string `json:"bucket"`
	Prefix      string `json:"prefix,omitempty"`
	Endpoint    string `json:"endpoint"` // http:// or https://
	Region      string `json:"region,omitempty"`
	Credentials string `json:"credentials"` // folder with the files accessKeyID, secretAccessKey and maybe sessionToken
	Secret      string `json:"secret"`      // the Secret's name, for people
}

// Webhook is an address to post to.
type Webhook struct {
	URLFile string `json:"urlFile"` // file that holds the URL
	Secret  string `json:"secret"`  // the Secret's name and key, for people
	Style   Style  `json:"style"`
}

// Style is the format in which a report is posted.
type Style string

// The styles.
const (
	Slack   Style = "Slack"
	Generic Style = "Generic"
)
