package delivery

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxSecret is the maximum size of a Secret's file in bytes.
const maxSecret = 64 << 10

// readSecret reads the mounted file of a Secret's key. Secrets are optional volumes: a missing one is an empty directory.
func readSecret(file, secret, key string) (string, error) {
	f, err := os.Open(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", final("the report's namespace has no Secret %s with the key %s", secret, key)
	case err != nil:
		return "", final("the key %s of the Secret %s cannot be read: %w", key, secret, errors.Unwrap(err)) // a PathError's
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch value := strings.TrimSpace(string(content)); {
	case err != nil:
		return "", final("the key %s of the Secret %s cannot be read: %w", key, secret, errors.Unwrap(err))
	case len(content) > maxSecret:
		return "", final("the key %s of the Secret %s is over %d bytes", key, secret, maxSecret)
	case value == "":
		return "", final("the key %s of the Secret %s is empty", key, secret)
	default:
		return value, nil
	}
}
