package input

import (
	"net/url"
	"testing"
	"time"
)

func TestNumbersAreSpelledAsInJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{ // microseconds, or -1 if it is rejected
		"0": 0, "-0": 0, "1": 1000, "0.5": 500, "1.0005": 1001, "1e3": 1_000_000, "1E-3": 1, "2.5e+2": 250_000, "0.0001": 0, "2592000000": 2592000000_000,
		"2592000001": -1, "-1": -1, "1e99": -1, "1e999": -1, "NaN": -1, "Inf": -1, "": -1, "0x10": -1, "0x1p4": -1, "1p3": -1, "0b11": -1, "0o7": -1,
		"010": -1, "1_0": -1, "+5": -1, ".5": -1, "5.": -1, "1/3": -1, "1\n": -1, "٣": -1, "0.00000000000000000000000000000000001": -1,
	} {
		raw := url.Values{"ms": {text}, "usd": {text}}.Encode()
		q := ParseQuery(raw)
		ms := q.Milliseconds("ms", 30*24*time.Hour)
		if err := q.err; (err != nil) != (want < 0) || err == nil && ms.Microseconds() != want {
			t.Errorf("%q: got %v, %v, want %d µs", text, ms, err, want)
		}
		if want < 0 && text != "2592000001" {
			q = ParseQuery(raw)
			if usd := q.NanoUSD("usd"); q.err == nil {
				t.Errorf("%q USD: got %d, want an error", text, *usd)
			}
		}
	}
	q := ParseQuery("usd=0.123456789")
	if usd := q.NanoUSD("usd"); usd == nil || *usd != 123456789 {
		t.Errorf("got %v, %v", usd, q.err)
	}
}
