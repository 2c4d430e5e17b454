package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

const someoneElses = `
version: mine-1
currency: USD
models:
  - {match: [acme-1], provider: acme, input: 2, output: 8, cache_read: 0.2, from: 2026-01-01, until: 2026-06-01,
     tiers: [{above_input_tokens: 1000, input: 4, output: 16}], service_tiers: {batch: 0.5}, source: "https://acme.example", date: 2026-01-02}
  - {match: [acme-1], provider: acme, input: 3, output: 9, from: 2026-06-01, hours: [{days: [sat, sun], from: "01:00", until: "02:30", factor: 0.1}]}
`

func withPrices(t *testing.T) *api {
	t.Helper()
	mine, err := prices.Parse([]byte(someoneElses))
	if err != nil {
		t.Fatal(err)
	}
	all := prices.Overlay(prices.Default(), mine)
	return newAPI(t, func(o *Options) { o.Prices = func() *prices.List { return all } })
}

func TestPricesAreLookedUp(t *testing.T) {
	t.Parallel()
	a := withPrices(t)
	for query, want := range map[string]openapi.LookedUpPrice{
		"model=ACME-1&provider=acme&at=2026-03-01T00:00:00Z": {
			Model: "acme-1", Provider: "acme", Factor: "1", USDPerMillionTokens: map[string]float64{"input": 2, "output": 8, "cache_read": 0.2},
			Tiers: []openapi.PriceTier{{AboveInputTokens: 1000, USDPerMillionTokens: map[string]float64{"input": 4, "output": 16}}},
		},
		"model=acme-1&provider=acme&at=2026-03-01T00:00:00Z&service_tier=Batch": {
			Model: "acme-1", Provider: "acme", Factor: "0.5", USDPerMillionTokens: map[string]float64{"input": 1, "output": 4, "cache_read": 0.1},
			Tiers: []openapi.PriceTier{{AboveInputTokens: 1000, USDPerMillionTokens: map[string]float64{"input": 2, "output": 8}}},
		},
		"model=acme-1&provider=acme&at=2026-06-06T01:30:00Z": {
			Model: "acme-1", Provider: "acme", Factor: "0.1", USDPerMillionTokens: map[string]float64{"input": 0.3, "output": 0.9},
		},
	} {
		var got openapi.PriceList
		a.admin(t, "/api/admin/prices?"+query).want(http.StatusOK).decode(&got)
		if fmt.Sprint(got.Applied) != fmt.Sprint(want) || got.Missing != "" || len(got.Prices) != 1 || got.Version != "mine-1+"+prices.Default().Version() {
			t.Errorf("%s: want %+v, got %+v", query, want, got)
		}
	}
	for query, want := range map[string]openapi.MissingPrice{
		"model=acme-2&provider=acme": openapi.MissingPriceNoPattern,
		"model=acme-1":               openapi.MissingPriceNoPattern, // another host charges its own price
		"model=acme-1&provider=acme&at=2025-01-01T00:00:00Z": openapi.MissingPriceOtherTime,
	} {
		var got openapi.PriceList
		a.admin(t, "/api/admin/prices?"+query).want(http.StatusOK).decode(&got)
		if got.Missing != want || len(got.Prices) != 0 {
			t.Errorf("%s: want %s, got %+v", query, want, got)
		}
	}
}

// TestPricesAreListed checks that pages have each price in force once, those of the file first.
func TestPricesAreListed(t *testing.T) {
	t.Parallel()
	a := withPrices(t)
	at := time.Date(2026, 6, 6, 0, 0, 0, 0, time.UTC)
	want := 0
	for _, m := range a.options.Prices().Models() {
		if m.InForce(at) {
			want++
		}
	}
	cursor, seen := "", map[string]bool{}
	for pages := 0; pages < 100; pages++ {
		var got openapi.PriceList
		path := "/api/admin/prices?limit=500&at=2026-06-06T00:00:00Z"
		if cursor != "" {
			path += "&cursor=" + cursor
		}
		a.admin(t, path).want(http.StatusOK).decode(&got)
		if int(got.Total) != want {
			t.Fatalf("want %d in all, got %d", want, got.Total)
		}
		for i, p := range got.Prices {
			key := fmt.Sprint(p.Version, p.File, p.Line, p.Match)
			if seen[key] {
				t.Errorf("%s is listed twice", key)
			}
			seen[key] = true
			if pages == 0 && i == 0 && (p.Version != "mine-1" || p.USDPerMillionTokens["input"] != 3 || len(p.Hours) != 1 || p.Hours[0].FromMinute != 60 ||
				p.Hours[0].UntilMinute != 150 || strings.Join(p.Hours[0].Days, " ") != "sun sat" || !p.From.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))) {
				t.Errorf("the first is %+v", p)
			}
		}
		if cursor = got.NextCursor; cursor == "" {
			break
		}
	}
	if len(seen) != want {
		t.Errorf("want %d prices, got %d", want, len(seen))
	}
	var found openapi.PriceList
	a.admin(t, "/api/admin/prices?search=ACME").want(http.StatusOK).decode(&found)
	if found.Total != 1 {
		t.Errorf("want 1 price of acme, got %+v", found)
	}
}

func TestPricesRejectNonsense(t *testing.T) {
	t.Parallel()
	a := withPrices(t)
	var page openapi.PriceList
	a.admin(t, "/api/admin/prices?limit=1").want(http.StatusOK).decode(&page)
	long := strings.Repeat("x", 300)
	for query, field := range map[string]string{
		"model=": "model", "model=" + long: "model", "model=a%00b": "model", "model=%ff": "model", "model=a&model=b": "model",
		"provider=acme": "provider", "region=eu": "region", "service_tier=batch": "service_tier", "model=a&provider=" + long: "provider",
		"search=": "search", "search=" + long: "search", "search=a&model=b": "search", "at=today": "at", "at=": "at", "limit=0": "limit", "limit=501": "limit",
		"cursor=x": "cursor", "cursor=": "cursor", "cursor=" + page.NextCursor + "&search=gpt": "cursor", "cursor=" + page.NextCursor + "&model=a": "cursor",
		"days=3": "days",
	} {
		if p := a.admin(t, "/api/admin/prices?"+query).want(http.StatusBadRequest).problem(); p.Field != field {
			t.Errorf("%s: want a 400 about %s, got %+v", query, field, p)
		}
	}
	for _, hostile := range []string{"'; DROP TABLE agents; --", "<script>", "\u202e", "*", "../..", "🦊"} {
		a.admin(t, "/api/admin/prices?model="+url.QueryEscape(hostile)).want(http.StatusOK)
		a.admin(t, "/api/admin/prices?search="+url.QueryEscape(hostile)).want(http.StatusOK)
	}
}
