package httpapi

import (
	"bytes"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
)

// payload keeps what an agent was given or answered as it came. The ledger replaces what cannot be stored in it, as in
// payloads that come other ways. It is a copy: whatever waits to be stored should not keep all of the body that it came in.
func payload(value jsontext.Value, into *json.RawMessage) error {
	if value != nil {
		*into = bytes.Clone(value)
	}
	return nil
}
