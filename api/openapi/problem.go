package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// CodeUnknown is the code of an answer that is an error but no problem document of the service.
const CodeUnknown = "unknown"

// Error says what is wrong in one line, so that a Problem can be returned as an error.
func (p *Problem) Error() string {
	msg := p.Detail
	if msg == "" {
		msg = p.Title
	}
	if p.Field != "" {
		msg = p.Field + ": " + msg
	}
	return fmt.Sprintf("%s (%d %s)", msg, p.Status, p.Code)
}

// ProblemOf returns the error that an answer carries, and nil for an answer below 400. An answer that is not a problem
// document, such as a proxy's, becomes one with [CodeUnknown]. It is made for the generated client's responses:
//
//	err := openapi.ProblemOf(resp.HTTPResponse, resp.Body)
func ProblemOf(resp *http.Response, body []byte) error {
	if resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Code == "" {
		p = Problem{Title: http.StatusText(resp.StatusCode), Code: CodeUnknown}
	}
	p.Status = int32(resp.StatusCode)
	return &p
}
