// Package openapi is the REST API: its OpenAPI document, the models in it and a client.
//
// watchbill.yaml is written by hand, and the *.gen.go files are generated from it. The package has no routes and no
// domain logic.
package openapi

import _ "embed"

//go:generate ../../hack/tool oapi-codegen -config types.cfg.yaml watchbill.yaml
//go:generate ../../hack/tool oapi-codegen -config client.cfg.yaml watchbill.yaml

// Spec is the OpenAPI 3.0 document, as YAML. Treat it as read-only.
//
//go:embed watchbill.yaml
var Spec []byte
