package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// document is the OpenAPI document and its entity tag.
type document struct {
	body []byte
	tag  string
}

func newDocument() document {
	sum := sha256.Sum256(openapi.Spec)
	return document{openapi.Spec, `"` + hex.EncodeToString(sum[:12]) + `"`}
}

// getOpenAPI serves the document, or 304 if the client has it.
func (s *Server) getOpenAPI(x *endpoint.Exchange) error {
	header := x.Header()
	header.Set("ETag", s.openAPI.tag)
	header.Set("Cache-Control", "no-cache")
	if x.Knows(s.openAPI.tag) {
		x.WriteHeader(http.StatusNotModified)
		return nil
	}
	return endpoint.Content{Status: http.StatusOK, MediaType: "application/yaml", Body: s.openAPI.body}.Send(x)
}
