package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// CodeUnknown is the code of an error response that is not a problem document of Watchbill.
const CodeUnknown = "unknown"

// Error returns the problem in one line. A Problem is an error.
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

// ProblemOf returns the error in a response, or nil if its status is below 400. For a response that is not a problem
// document, such as a proxy's, the code is [CodeUnknown]. It is for responses of the generated client:
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
