package replica

import (
	"strings"
	"testing"
)

func TestWeakTokensAreRefused(t *testing.T) {
	t.Parallel()
	const strong, another, third = "3f9c1b7e5d2a8460", "b81d06f27c9e4a35", "70e4c6a9d85b1f23"
	for name, tt := range map[string]struct {
		admin, enrollment, ingest string
		want                      []string // lines, without the last one, the advice
	}{
		"strong ones":         {strong, another, third, nil},
		"none":                {"", "", " , ", nil},
		"strong that rotate":  {strong + "," + another, third, "", nil},
		"short":               {"fifteen-bytes..", "a", "", []string{"ADMIN_TOKEN: must have at least 16 bytes", "ENROLLMENT_TOKEN: must have at least 16 bytes"}},
		"one of several":      {strong + ", b", "", "", []string{"ADMIN_TOKEN, value 2: must have at least 16 bytes"}},
		"placeholders":        {"changeme", "please-change-me-now", "Your-Token-Goes-Here", []string{"ADMIN_TOKEN: is a placeholder", "ENROLLMENT_TOKEN: is a placeholder", "INGEST_TOKEN: is a placeholder"}},
		"one character":       {strings.Repeat("ab", 20), "", "", []string{"ADMIN_TOKEN: repeats too few characters"}},
		"one for two rights":  {strong, another, strong, []string{"INGEST_TOKEN: is the same as ADMIN_TOKEN; each token must be unique and give one right"}},
		"two that are one":    {strong + "," + strong, "", "", []string{"ADMIN_TOKEN, value 2: is the same as ADMIN_TOKEN, value 1; each token must be unique and give one right"}},
		"all that is wrong":   {"x", "x", "", []string{"ADMIN_TOKEN: must have at least 16 bytes", "ENROLLMENT_TOKEN: must have at least 16 bytes", "ENROLLMENT_TOKEN: is the same as ADMIN_TOKEN; each token must be unique and give one right"}},
		"with blanks between": {strong + " ,, " + another, third, "", nil},
	} {
		c := Config{AdminToken: tt.admin, EnrollmentToken: tt.enrollment, IngestToken: tt.ingest}
		err := c.checkTokens()
		var got []string
		if err != nil {
			got = strings.Split(err.Error(), "\n")
			got = got[:len(got)-1]
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: want %q, got %q", name, tt.want, got)
		}
		if err != nil && (strings.Contains(err.Error(), strong) || strings.Contains(err.Error(), "fifteen")) {
			t.Errorf("%s: a value is shown: %v", name, err)
		}
		c.InsecureTokens = true
		if err := c.checkTokens(); err != nil {
			t.Errorf("%s, as they may be: got %v", name, err)
		}
	}
}
