// Package observe identifies for whom the service works, and bounds the names in its logs and metrics. Packages logging
// and metrics do not depend on each other.
package observe
