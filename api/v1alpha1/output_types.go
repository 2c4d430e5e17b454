package v1alpha1

// Output is a place that reports are delivered to, and the format they have there. Exactly one target is set. Secrets are
// only referred to; they are in the report's namespace.
//
// +kubebuilder:validation:XValidation:rule="[has(self.persistentVolumeClaim), has(self.s3), has(self.webhook)].filter(set, set).size() == 1",message="exactly one of persistentVolumeClaim, s3 and webhook must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.webhook) || !has(self.webhook.style) || self.webhook.style != 'Slack' || self.format == 'Markdown'",message="a webhook of style Slack takes the format Markdown"
type Output struct {
	// format of the report there.
	// +required
	Format Format `json:"format"`

	// persistentVolumeClaim is a volume that a file is written to.
	// +optional
	PersistentVolumeClaim *VolumeOutput `json:"persistentVolumeClaim,omitempty"`

	// s3 is a bucket of an S3-compatible store.
	// +optional
	S3 *S3Output `json:"s3,omitempty"`

	// webhook is an address that reports are posted to.
	// +optional
	Webhook *WebhookOutput `json:"webhook,omitempty"`
}

// Format is how a report is written.
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

// VolumeOutput is a volume that a file is written to: <path>/<report>-<time it was scheduled for>.<format>.
type VolumeOutput struct {
	// claimName is the PersistentVolumeClaim's, in the report's namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ClaimName string `json:"claimName"`

	// path is a folder in the volume; it is made if need be. Left out: the volume's root.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(part, part == '.' || part == '..')",message="path must not have . or .. in it"
	Path string `json:"path,omitempty"`
}

// S3Output is a bucket of an S3-compatible store. Objects are named like the files of a volume.
type S3Output struct {
	// bucket of that name must exist.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9.-]*[a-z0-9]$`
	Bucket string `json:"bucket"`

	// prefix of the objects' names, without a slash at the end.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`
	Prefix string `json:"prefix,omitempty"`

	// endpoint is the store's URL.
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$`
	Endpoint string `json:"endpoint"`

	// region of the bucket, where the store has regions.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]*$`
	Region string `json:"region,omitempty"`

	// secretRef names a Secret with the keys accessKeyID, secretAccessKey and, if need be, sessionToken.
	// +required
	SecretRef SecretReference `json:"secretRef"`
}

// WebhookOutput is an address that reports are posted to.
type WebhookOutput struct {
	// urlSecretRef is the key of a Secret that holds the URL, since that is often a secret itself.
	// +required
	URLSecretRef SecretKeyReference `json:"urlSecretRef"`

	// style of the message: Generic posts the report as it is, in the output's format; Slack posts a message for Slack's
	// incoming webhooks.
	// +optional
	// +default="Generic"
	// +kubebuilder:default=Generic
	Style WebhookStyle `json:"style,omitempty"`
}

// WebhookStyle is how a report is posted.
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
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// SecretKeyReference names a key of a Secret in the report's namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// key in the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="self != '.' && !self.startsWith('..')",message="key must be one that a Secret can have"
	Key string `json:"key"`
}
