//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// api is the API as a person uses it, through a forwarded port.
type api struct{ url, token string }

// api forwards a port to one of the replicas and uses the admin token.
func (r *release) api(t *testing.T) api {
	t.Helper()
	return api{forward(t, r.namespace, "service/"+releaseName+"-api", 8080), r.token(t, "admin")}
}

// as returns the same API with another token.
func (a api) as(token string) api { return api{a.url, token} }

// ask sends a request; to may be nil. An error response is not an error.
func (a api) ask(ctx context.Context, method, path string, body, to any) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, "", err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, content)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && to != nil && response.StatusCode < http.StatusMultipleChoices {
		err = json.Unmarshal(answer, to)
	}
	return response.StatusCode, string(answer), err
}

// must sends a request that has to succeed.
func (a api) must(t *testing.T, method, path string, body, to any) {
	t.Helper()
	if status, text, err := a.ask(t.Context(), method, path, body, to); err != nil || status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %d %s %v", method, path, status, text, err)
	}
}

// metrics returns the sum of a Pod's series of a name that have the labels.
func metrics(ctx context.Context, namespace, pod, name string, labels map[string]string) (float64, error) {
	out, err := cluster.CoreV1().Pods(namespace).ProxyGet("http", pod, "9090", "/metrics", nil).DoRaw(ctx)
	if err != nil {
		return 0, fmt.Errorf("scrape %s: %w", pod, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(out))
	if err != nil {
		return 0, fmt.Errorf("scrape %s: %w", pod, err)
	}
	var sum float64
	for _, m := range families[name].GetMetric() {
		matching := 0
		for _, label := range m.GetLabel() {
			if want, asked := labels[label.GetName()]; asked && want == label.GetValue() {
				matching++
			}
		}
		if matching == len(labels) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum, nil
}
