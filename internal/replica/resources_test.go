package replica

import "testing"

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files   uint64
		memory  int64
		gateway bool
		want    int
	}{
		"nothing is limited":       {0, 0, false, maxConnections},
		"few files":                {256, 0, false, 173},
		"the usual":                {1024, 0, false, 921},
		"with a gateway":           {1024, 0, true, 685},
		"many files":               {1 << 20, 0, false, maxConnections},
		"a hundred thousand":       {120_000, 0, false, 108_000},
		"hardly any files":         {64, 0, false, 16},
		"256 MiB":                  {120_000, 256 << 20, false, 8192},
		"files and 1 GiB":          {1024, 1 << 30, false, 921},
		"hardly any memory at all": {1024, 1, false, 16},
	}
	for name, test := range tests {
		if got := connectionLimit(test.files, test.memory, 19, test.gateway); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, test := range map[string]struct {
		config            Config
		memory            int64
		bodies, responses int64
	}{
		"no limit": {Config{}, 0, 256 * mib, 64 * mib},
		"1 GiB":    {Config{}, 1024 * mib, 128 * mib, 64 * mib},
		"256 MiB":  {Config{}, 256 * mib, 32 * mib, 16 * mib},
		"64 MiB":   {Config{}, 64 * mib, 16 * mib, 16 * mib},
		"set":      {Config{BodyMemory: 99 * mib, ResponseMemory: 98 * mib}, 256 * mib, 99 * mib, 98 * mib},
	} {
		bodies, responses := test.config.budgets(test.memory)
		if bodies != test.bodies || responses != test.responses {
			t.Errorf("%s: got %d and %d, want %d and %d", name, bodies, responses, test.bodies, test.responses)
		}
	}
}
