package alerts

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/text"
)

// Limits of what is kept of a server's response.
const (
	MaxAlerts = 200
	maxLabels = 30
	maxName   = 256     // bytes of a name, a label or a severity
	maxText   = 2 << 10 // bytes of a summary or a description
	maxURL    = 2 << 10 // bytes; longer ones are left out
)

var errNotAlerts = errors.New("the response is not a list of alerts")

// wireAlert is an alert as both servers write it; each has fields of the other's that are missing.
type wireAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	GeneratorURL string            `json:"generatorURL"` // Alertmanager

	ActiveAt time.Time `json:"activeAt"` // Prometheus
	StartsAt time.Time `json:"startsAt"` // Alertmanager
}

// decode reads the response of a server.
func decode(kind Kind, body []byte) ([]Alert, error) {
	if kind == Alertmanager {
		return decodeAlertmanager(body)
	}
	var answer struct {
		Status string `json:"status"`
		Data   *struct {
			Alerts []struct {
				wireAlert
				State string `json:"state"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" || answer.Data == nil {
		return nil, errNotAlerts
	}
	all := make([]Alert, 0, len(answer.Data.Alerts))
	for _, a := range answer.Data.Alerts {
		state := State(a.State)
		if state != Firing && state != Pending { // inactive or unknown
			continue
		}
		all = append(all, alertOf(a.wireAlert, state, a.ActiveAt))
	}
	return all, nil
}

func decodeAlertmanager(body []byte) ([]Alert, error) {
	var answer []struct {
		wireAlert
		Status struct {
			State string `json:"state"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer == nil {
		return nil, errNotAlerts
	}
	all := make([]Alert, len(answer))
	for i, a := range answer {
		state := Firing // also of alerts that are not processed yet
		if a.Status.State == string(Suppressed) {
			state = Suppressed
		}
		all[i] = alertOf(a.wireAlert, state, a.StartsAt)
	}
	return all, nil
}

func alertOf(w wireAlert, state State, since time.Time) Alert {
	a := Alert{
		Name: clean(w.Labels["alertname"], maxName), Severity: strings.ToLower(clean(w.Labels["severity"], maxName)), State: state, Since: since,
		Summary: clean(w.Annotations["summary"], maxText), Description: clean(w.Annotations["description"], maxText),
		RunbookURL: webURL(w.Annotations["runbook_url"]), SourceURL: webURL(w.GeneratorURL), Labels: map[string]string{},
	}
	if a.Description == "" { // many rules have a message instead
		a.Description = clean(w.Annotations["message"], maxText)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Labels)) {
		if name == "alertname" || name == "severity" {
			continue
		}
		if len(a.Labels) == maxLabels {
			break
		}
		a.Labels[clean(name, maxName)] = clean(w.Labels[name], maxName)
	}
	return a
}

// clean returns a text of at most limit bytes of valid UTF-8, and an ellipsis if it was longer.
func clean(s string, limit int) string { return text.Clip(strings.ToValidUTF8(s, "\uFFFD"), limit) }

// webURL returns a URL that a browser may follow, or "".
func webURL(s string) string {
	if len(s) > maxURL {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
