package logging

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/redact"
)

// TestKnownSecretsInAnySpelling checks that a known token is redacted in any encoding, even if no name suggests it.
func TestKnownSecretsInAnySpelling(t *testing.T) {
	t.Parallel()
	r := newRedactor([]string{"adm-SECRET+0001"})
	for _, spelled := range []string{
		"/nope?q=adm-SECRET+0001", "/nope?q=adm%2DSECRET%2B0001", "/nope?q=%61dm-SECRET%2b0001", "/nope/adm%2dSECRET%2B0001/x",
		"/nope?q=adm%252DSECRET%252B0001", "/nope?q=%61%64%6D%2D%53%45%43%52%45%54%2B%30%30%30%31",
	} {
		for how, got := range map[string]string{"URL": r.sentURL(spelled, 1000), "text": r.sent(spelled, 1000)} {
			decoded, _ := redact.Decode(got)
			if strings.Contains(decoded, "SECRET") || !strings.Contains(got, redact.Mark) {
				t.Errorf("%s as %s: got %s", spelled, how, got)
			}
		}
	}
	for _, harmless := range []string{"/api/admin/user-activity/a%2Fb?limit=20", "/api/deployments?cursor=x%3D"} {
		if got := r.sentURL(harmless, 1000); got != harmless {
			t.Errorf("%s: got %s", harmless, got)
		}
	}
}

// TestTruncatedSecretsAreRedacted checks that secrets are redacted at every position around the cut of a long path.
func TestTruncatedSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	const known, unknown = "adm-5eCr3t/5eCr3t?5eCr3t", "5eCr3t-5eCr3t-5eCr3t"
	r := newRedactor([]string{known, "another"})
	for name, spelled := range map[string]string{
		"known":                known,
		"known, encoded":       encodeOften(known, 1),
		"known, encoded often": encodeOften(known, redact.MaxLayers),
		"user and password":    "https://u:" + unknown + "@h/",
		"encoded URL":          "x=https%3A%2F%2Fu%3A" + unknown + "%40h&",
		"password":             "&password=" + unknown + "&",
		"agent's token":        "/wba_" + unknown + "/",
		"bearer":               "+bearer+" + unknown + "+",
	} {
		for _, filler := range []string{"x", "/", "key=1&", "%2F", "adm-"} {
			for before := 150; before < 2*maxPathLine+20; before++ {
				path := ("/?" + strings.Repeat(filler, before))[:before] + spelled + strings.Repeat("y", 1000)
				texts := map[string]string{"URL": r.sentURL(path, maxPathLine)}
				if name != "encoded URL" { // decoded only in URLs
					texts["text"] = r.sent(path, maxPathLine)
				}
				for how, got := range texts {
					if decoded, _ := redact.Decode(got); strings.Contains(decoded, "5eC") || len(got) > maxPathLine {
						t.Fatalf("%s behind %d bytes of %q, as %s: got %s", name, before, filler, how, got)
					}
				}
			}
		}
	}
}

// encodeOften percent-encodes every byte, and then each percent sign repeatedly.
func encodeOften(s string, layers int) string {
	var out strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&out, "%%%s%02X", strings.Repeat("25", layers-1), s[i])
	}
	return out.String()
}

// TestRedactingIsBounded checks that the bytes redacted depend on the bytes shown and not on the length of the text.
func TestRedactingIsBounded(t *testing.T) {
	t.Parallel()
	r := newRedactor([]string{"adm-5eCr3t"})
	for _, part := range []string{"x", "bearer+", "basic%20", "token=", "wba_", "https://", "%25", "adm-5eCr3t", "é"} {
		for size := 1; size <= maxSentText; size += 97 {
			text := strings.Repeat(part, size/len(part)+1)[:size]
			redactedBytes := 0
			r.sentBy(func(s string) string { redactedBytes += len(s); return s }, text, maxPathLine)
			if redactedBytes > 2*maxPathLine {
				t.Errorf("%d of %d bytes of %q are redacted to show %d", redactedBytes, size, part, maxPathLine)
			}
		}
	}
}
