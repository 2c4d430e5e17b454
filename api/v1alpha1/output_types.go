package v1alpha1

// Output is a destination of reports, and their format there. Exactly one
// target is set. Secrets are referenced by name and are in the report's
// namespace.
//
// +kubebuilder:validation:XValidation:rule="[has(self.persistentVolumeClaim), has(self.s3), has(self.webhook)].filter(set, set).size() == 1",message="exactly one of persistentVolumeClaim, s3 and webhook must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.webhook) || !has(self.webhook.style) || self.webhook.style != 'Slack' || self.format == 'Markdown'",message="a webhook of style Slack takes the format Markdown"
type Output struct {
	// format of the report there.
	// +required
	Format Format `json:"format,omitempty"`

	// persistentVolumeClaim is a volume to write a file to.
	// +optional
	PersistentVolumeClaim *VolumeOutput `json:"persistentVolumeClaim,omitempty"`

	// s3 is a bucket of an S3-compatible store.
	// +optional
	S3 *S3Output `json:"s3,omitempty"`

	// webhook is a URL to post reports to.
	// +optional
	Webhook *WebhookOutput `json:"webhook,omitempty"`
}

// Format is the format of a report.
//
// +kubebuilder:validation:Enum=HTML;JSON;Markdown;CSV
type Format string

// The formats.
const (
	FormatHTML     Format = "HTML"
	FormatJSON     Format = "JSON"
	FormatMarkdown Format = "Markdown"
	FormatCSV      Format = "CSV"
)

// VolumeOutput is a volume to write files to: <path>/<report>-<scheduled
// time>.<format>.
type VolumeOutput struct {
	// claimName is the name of the PersistentVolumeClaim, in the report's
	// namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be a name that a PersistentVolumeClaim can have"
	ClaimName string `json:"claimName,omitempty"`

	// path is a folder in the volume, created if missing. Default: the
	// volume's root.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$') && !self.split('/').exists(part, part == '.' || part == '..')",message="must be folders such as reports/daily: of A-Z, a-z, 0-9, _, . and -, none of them . or .., no / at either end"
	Path string `json:"path,omitempty"`
}

// S3Output is a bucket of an S3-compatible store. Objects are named like the
// files of a volume.
type S3Output struct {
	// bucket is the name of an existing bucket.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')",message="must be of a-z, 0-9, . and -, and begin and end with a letter or digit"
	Bucket string `json:"bucket,omitempty"`

	// prefix of the objects' names, without a slash at the end.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$') && !self.split('/').exists(part, part == '.' || part == '..')",message="must be folders such as reports/daily: of A-Z, a-z, 0-9, _, . and -, none of them . or .., no / at either end"
	Prefix string `json:"prefix,omitempty"`

	// endpoint is the store's URL.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$')",message="must be a URL of http or https without a path, such as https://s3.eu-central-1.amazonaws.com"
	Endpoint string `json:"endpoint,omitempty"`

	// region of the bucket, if the store has regions.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9-]*$')",message="must be a region such as eu-central-1"
	Region string `json:"region,omitempty"`

	// secretRef names a Secret with the keys accessKeyID, secretAccessKey and,
	// if required, sessionToken.
	// +required
	SecretRef SecretReference `json:"secretRef,omitzero"`
}

// WebhookOutput is a URL to post reports to.
type WebhookOutput struct {
	// urlSecretRef is the key of a Secret that holds the URL, since the URL
	// often contains credentials.
	// +required
	URLSecretRef SecretKeyReference `json:"urlSecretRef,omitzero"`

	// style of the message: Generic posts the report unchanged, in the
	// output's format; Slack posts a message for Slack's incoming webhooks.
	// Default: Generic.
	// +optional
	// +default="Generic"
	Style WebhookStyle `json:"style,omitempty"`
}

// WebhookStyle is the form of the message.
//
// +kubebuilder:validation:Enum=Slack;Generic
type WebhookStyle string

// The styles.
const (
	WebhookSlack   WebhookStyle = "Slack"
	WebhookGeneric WebhookStyle = "Generic"
)

// SecretReference names a Secret in the report's namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be a name that a Secret can have"
	Name string `json:"name,omitempty"`
}

// SecretKeyReference names a key of a Secret in the report's namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be a name that a Secret can have"
	Name string `json:"name,omitempty"`

	// key in the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",message="must be a key that a Secret can have"
	Key string `json:"key,omitempty"`
}
