package telemetry

import (
	"strings"
	"testing"
)

// TestKnownSecretsHoweverTheyAreSpelled has a known token in places whose names do not tell that it is one.
func TestKnownSecretsHoweverTheyAreSpelled(t *testing.T) {
	t.Parallel()
	r := newRedactor([]string{"adm-SECRET+0001"})
	for _, spelled := range []string{
		"/nope?q=adm-SECRET+0001", "/nope?q=adm%2DSECRET%2B0001", "/nope?q=%61dm-SECRET%2b0001", "/nope/adm%2dSECRET%2B0001/x",
		"/nope?q=adm%252DSECRET%252B0001", "/nope?q=%61%64%6D%2D%53%45%43%52%45%54%2B%30%30%30%31",
	} {
		for how, got := range map[string]string{"URL": r.sentURL(spelled, 1000), "text": r.sent(spelled, 1000)} {
			decoded, _ := decode(got)
			if strings.Contains(decoded, "SECRET") || !strings.Contains(got, redacted) {
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
