// Package observe says for whom the service works, and bounds what its logs and metrics name. The logs are in logging, the
// metrics in metrics; neither knows the other.
package observe
