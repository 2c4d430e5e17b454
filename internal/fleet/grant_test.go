package fleet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

func TestGrantAdmits(t *testing.T) {
	now := time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)
	type labels = map[string]string
	plain := fleet.Grant{Token: fleet.HashToken("t")}
	lab := fleet.Grant{Token: fleet.HashToken("t"), Labels: labels{"env": "lab"}, AllowedLabels: []string{"rack"}, MinPollInterval: 10 * time.Second, Expires: now.Add(time.Second)}
	over := lab
	over.Expires = now
	none := lab
	none.AllowedLabels = []string{}
	for name, tt := range map[string]struct {
		grant  fleet.Grant
		labels labels
		want   labels
		code   string
		field  string
	}{
		"a plain token":           {plain, labels{"env": "prod"}, labels{"env": "prod"}, "", ""},
		"no labels":               {lab, nil, labels{"env": "lab"}, "", ""},
		"the fixed one":           {lab, labels{"env": "lab"}, labels{"env": "lab"}, "", ""},
		"one that it may choose":  {lab, labels{"rack": "7"}, labels{"env": "lab", "rack": "7"}, "", ""},
		"another for a fixed one": {lab, labels{"env": "prod", "rack": "7"}, nil, "label_fixed", "labels.env"},
		"one that it may not":     {lab, labels{"tier": "edge"}, nil, "label_not_allowed", "labels.tier"},
		"none may be chosen":      {none, labels{"rack": "7"}, nil, "label_not_allowed", "labels.rack"},
		"expired":                 {over, nil, nil, "token_expired", ""},
	} {
		got, err := tt.grant.Admit(fleet.Agent{ID: "a", Labels: tt.labels, PollInterval: time.Second}, now)
		var problem *fault.Error
		if tt.code != "" {
			if !errors.As(err, &problem) || problem.Code != tt.code || problem.Field != tt.field || problem.Kind != fault.Forbidden {
				t.Errorf("%s: want %s of %q, got %v", name, tt.code, tt.field, err)
			}
			continue
		}
		if err != nil || !cmp.Equal(got.Labels, tt.want) || got.EnrolledBy != tt.grant.Fingerprint() || got.PollInterval != max(time.Second, tt.grant.MinPollInterval) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if f := plain.Fingerprint(); len(f) != 16 || strings.Trim(f, "0123456789abcdef") != "" {
		t.Errorf("got the fingerprint %s", f)
	}
	if lab.Labels["rack"] != "" {
		t.Error("the grant's own labels were changed")
	}
}
