package number_test

import (
	"math"
	"testing"

	"github.com/watchbill/watchbill/internal/number"
)

func TestFormats(t *testing.T) {
	tests := []struct{ got, want string }{
		{number.Significant(0), "0"},
		{number.Significant(0.0000123456), "0.0000123"},
		{number.Significant(1e-12), "0"},
		{number.Significant(0.099996), "0.1"},
		{number.Significant(0.1), "0.1"},
		{number.Significant(1.005), "1"},
		{number.Significant(9.996), "10"},
		{number.Significant(12.345), "12.3"},
		{number.Significant(999.4), "999"},
		{number.Significant(999.5), "1,000"},
		{number.Significant(-1234567), "-1,234,567"},
		{number.Significant(-0.5), "-0.5"},
		{number.Grouped(0), "0"},
		{number.Grouped(999), "999"},
		{number.Grouped(-999), "-999"},
		{number.Grouped(-1000), "-1,000"},
		{number.Grouped(math.MinInt64), "-9,223,372,036,854,775,808"},
		{number.Counted(1, "request"), "1 request"},
		{number.Counted(0, "request"), "0 requests"},
		{number.Percent(0), "0 %"},
		{number.Percent(0.123456), "12.3 %"},
		{number.Percent(0.994), "99.4 %"},
		{number.Percent(0.9949), "99.5 %"},
		{number.Percent(0.995), "99.5 %"},
		{number.Percent(0.9995), "99.95 %"},
		{number.Percent(0.99996), "99.996 %"},
		{number.Percent(1 - 1e-10), "99.99999999 %"},
		{number.Percent(1 - 1e-15), "100 %"},
		{number.Percent(1), "100 %"},
		{number.Percent(1.5), "150 %"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
