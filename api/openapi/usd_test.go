package openapi_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
)

func TestUSD(t *testing.T) {
	for nano, want := range map[openapi.USD]string{
		0: "0", 1: "0.000000001", 450_000: "0.00045", 1_000_000_000: "1", 1_500_000_000: "1.5", -1: "-0.000000001", -2_050_000_000: "-2.05",
		123_456_789_012_345_678: "123456789.012345678", math.MaxInt64: "9223372036.854775807", math.MinInt64: "-9223372036.854775808",
	} {
		got, err := json.Marshal(nano)
		if err != nil || string(got) != want {
			t.Errorf("%d nano-USD are written %s (%v), want %s", int64(nano), got, err, want)
		}
		var back openapi.USD
		if err := json.Unmarshal(got, &back); err != nil || back != nano {
			t.Errorf("%s is read as %d (%v)", got, int64(back), err)
		}
	}
	for _, bad := range []string{`"1"`, `1e3`, `0.0000000001`, `9223372036.854775808`, `true`, `{}`} {
		var u openapi.USD
		if err := json.Unmarshal([]byte(bad), &u); err == nil {
			t.Errorf("%s is read as %d", bad, int64(u))
		}
	}
}
