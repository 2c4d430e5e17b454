package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestIngressAnnotations checks that the Ingress has the annotations for ingress-nginx that docs/proxies.md requires,
// and that the operator's annotations take precedence over the chart's.
func TestIngressAnnotations(t *testing.T) {
	t.Parallel()
	const prefix = "nginx.ingress.kubernetes.io/"
	standard := map[string]string{
		"proxy-body-size": "9m", "proxy-connect-timeout": "5", "proxy-read-timeout": "75", "proxy-send-timeout": "75",
		"proxy-buffering": "off", "proxy-request-buffering": "on", "proxy-next-upstream": "error timeout",
	}
	with := func(name, value string) map[string]string {
		changed := maps.Clone(standard)
		changed[name] = value
		return changed
	}
	grpc := map[string]string{
		"backend-protocol": "GRPC", "proxy-body-size": "17m", "proxy-connect-timeout": "5", "proxy-read-timeout": "75", "proxy-send-timeout": "75",
	}
	withGRPC := []string{"api.otlpGRPC.enabled=true", "api.otlpGRPC.ingress=true", "api.ingress.tls[0].secretName=tls"}
	grpcs := maps.Clone(grpc)
	grpcs["backend-protocol"] = "GRPCS"
	for name, tt := range map[string]struct {
		set  []string
		want map[string]string
	}{
		"gRPC":            {withGRPC, grpc},
		"gRPC and TLS":    {append(slices.Clone(withGRPC), "api.tls.secretName=tls"), grpcs},
		"by default":      {nil, standard},
		"another timeout": {[]string{`api.ingress.annotations.nginx\.ingress\.kubernetes\.io/proxy-read-timeout=50`}, with("proxy-read-timeout", "50")},
		"the API's TLS":   {[]string{"api.tls.secretName=tls"}, with("backend-protocol", "HTTPS")},
		"turned off":      {[]string{"api.ingress.nginxAnnotations=false"}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--set", "api.ingress.enabled=true", "--set", "api.ingress.hosts={watchbill.example}"}
			for _, set := range tt.set {
				args = append(args, "--set-string", set)
				if strings.HasSuffix(set, "=false") || strings.HasSuffix(set, "=true") {
					args[len(args)-2] = "--set"
				}
			}
			got := map[string]string{}
			object := "watchbill-api"
			if strings.HasPrefix(name, "gRPC") {
				object = "watchbill-api-otlp-grpc"
			}
			for name, value := range find(t, objects(t, render(t, args...)), "Ingress", object).GetAnnotations() {
				got[strings.TrimPrefix(name, prefix)] = value
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
