// Package openapi is the REST contract: the document itself, the models it describes and a client for it.
//
// watchbill.yaml is written by hand; everything in *.gen.go is made from it. Nothing else belongs here: no routes, no
// rules of the domain.
package openapi

import _ "embed"

//go:generate ../../hack/tool oapi-codegen -config types.cfg.yaml watchbill.yaml
//go:generate ../../hack/tool oapi-codegen -config client.cfg.yaml watchbill.yaml

// Spec is the OpenAPI 3.0 document, as YAML. Treat it as read-only.
//
//go:embed watchbill.yaml
var Spec []byte
