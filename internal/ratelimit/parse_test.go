package ratelimit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/text"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for rule, want := range map[string]Limit{
		"gateway/user=60/m":                             {Gateway, ByUser, 60, time.Minute, 60},
		"gateway/agent=5/s:burst=20":                    {Gateway, ByAgent, 5, time.Second, 20},
		"ingest/token=5000/s:burst=20000":               {Ingest, ByToken, 5000, time.Second, 20000},
		"gateway=1000/s":                                {Gateway, All, 1000, time.Second, 1000},
		"ingest/user=1/d":                               {Ingest, ByUser, 1, day, 1},
		"ingest/user=366/d:burst=133956":                {Ingest, ByUser, 366, day, 133956},
		"ingest=1000000000/h:burst=1":                   {Ingest, All, 1_000_000_000, time.Hour, 1},
		"ingest/agent=1000000000/s:burst=1000000000":    {Ingest, ByAgent, 1_000_000_000, time.Second, 1_000_000_000},
		"ingest/agent=1000000000/d:burst=1000000000":    {Ingest, ByAgent, 1_000_000_000, day, 1_000_000_000},
		"gateway/token=31622400/d:burst=31622400":       {Gateway, ByToken, 31_622_400, day, 31_622_400},
		"gateway/token=999999937/m:burst=999999937":     {Gateway, ByToken, 999_999_937, time.Minute, 999_999_937},
		"gateway/token=999999937/m:burst=1":             {Gateway, ByToken, 999_999_937, time.Minute, 1},
		"gateway/user=1/s:burst=31622400":               {Gateway, ByUser, 1, time.Second, 31_622_400},
		"gateway/user=1/h:burst=8784":                   {Gateway, ByUser, 1, time.Hour, 8784},
		"gateway/user=2/h:burst=17568":                  {Gateway, ByUser, 2, time.Hour, 17568},
		"gateway/user=100000000/s:burst=1000000000":     {Gateway, ByUser, 100_000_000, time.Second, 1_000_000_000},
		"gateway/user=100000000/m:burst=1000000000":     {Gateway, ByUser, 100_000_000, time.Minute, 1_000_000_000},
		"gateway/user=100000000/h:burst=1000000000":     {Gateway, ByUser, 100_000_000, time.Hour, 1_000_000_000},
		"gateway/user=100000000/d:burst=1000000000":     {Gateway, ByUser, 100_000_000, day, 1_000_000_000},
		"gateway/user=60/m:burst=60":                    {Gateway, ByUser, 60, time.Minute, 60},
		"ingest/token=7/s:burst=" + fmt.Sprint(1<<20):   {Ingest, ByToken, 7, time.Second, 1 << 20},
		"ingest/token=333333333/d:burst=" + "999999999": {Ingest, ByToken, 333_333_333, day, 999_999_999},
	} {
		got, err := Parse([]string{rule})
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		if diff := cmp.Diff(Limits{want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rule, diff)
		}
	}
	if got, err := Parse(nil); err != nil || len(got) != 0 {
		t.Errorf("no rules: want no limits, got %v, %v", got, err)
	}
}

func TestParseReportsTheFault(t *testing.T) {
	t.Parallel()
	const (
		scope = "the scope must be gateway, ingest or enroll, not "
		by    = "whom it is limited for must be user, agent or token, not "
		rate  = "the rate must be a whole number from 1 to 1000000000, not "
		unit  = "the rate is per s, m, h or d, not per "
		after = "after the rate only :burst=N can follow, not "
		burst = "burst must be a whole number from 1 to 1000000000, not "
		form  = "must be SCOPE[/BY]=RATE/UNIT[:burst=N], such as gateway/user=60/m"
	)
	for rule, want := range map[string][]string{
		"":                                    {form},
		"gateway/user":                        {form},
		"60/m":                                {form},
		"=60/m":                               {scope + `""`},
		"Gateway=60/m":                        {scope + `"Gateway"`},
		" gateway=60/m":                       {scope + `" gateway"`},
		"gateway =60/m":                       {scope + `"gateway "`},
		"gateway/=60/m":                       {by + `""`},
		"gateway/all=60/m":                    {by + `"all"`},
		"gateway/user/agent=60/m":             {by + `"user/agent"`},
		"gateway/user=":                       {rate + `""`, unit + `""`},
		"gateway/user=60":                     {unit + `""`},
		"gateway/user=60/":                    {unit + `""`},
		"gateway/user=/m":                     {rate + `""`},
		"gateway/user=0/m":                    {rate + `"0"`},
		"gateway/user=-1/m":                   {rate + `"-1"`},
		"gateway/user=+1/m":                   {rate + `"+1"`},
		"gateway/user=01/m":                   {rate + `"01"`},
		"gateway/user=1.5/m":                  {rate + `"1.5"`},
		"gateway/user=1e3/m":                  {rate + `"1e3"`},
		"gateway/user=0x10/m":                 {rate + `"0x10"`},
		"gateway/user=1_000/m":                {rate + `"1_000"`},
		"gateway/user=٣/m":                    {rate + `"٣"`},
		"gateway/user= 60/m":                  {rate + `" 60"`},
		"gateway/user=1000000001/m":           {rate + `"1000000001"`},
		"gateway/user=99999999999999999999/m": {rate + `"99999999999999999999"`},
		"gateway/user=60/min":                 {unit + `"min"`},
		"gateway/user=60/M":                   {unit + `"M"`},
		"gateway/user=60/m ":                  {unit + `"m "`},
		"gateway/user=60/m/s":                 {unit + `"m/s"`},
		"gateway/user=60/m:":                  {after + `""`},
		"gateway/user=60/m:burst":             {after + `"burst"`},
		"gateway/user=60/m:Burst=1":           {after + `"Burst=1"`},
		"gateway/user=60/m:size=1":            {after + `"size=1"`},
		"gateway/user=60/m:burst=":            {burst + `""`},
		"gateway/user=60/m:burst=0":           {burst + `"0"`},
		"gateway/user=60/m:burst=1:burst=2":   {burst + `"1:burst=2"`},
		"gateway/user=60/m:burst=1000000001":  {burst + `"1000000001"`},
		"gateway/user=1/d:burst=367":          {"a burst of 367 would need more than a year to come back"},
		"gateway/user=1/s:burst=1000000000":   {"a burst of 1000000000 would need more than a year to come back"},
		"gatway/usr=x/y:z":                    {scope + `"gatway"`, by + `"usr"`, rate + `"x"`, unit + `"y"`, after + `"z"`},
		"gateway/user=60/m\n":                 {unit + `"m\n"`},
		"gateway/\x00\xff=60/m":               {by + `"\x00\xff"`},
	} {
		limits, err := Parse([]string{rule})
		var lines []string
		for _, what := range want {
			lines = append(lines, "--limit "+text.Quote(rule, 60)+": "+what)
		}
		if limits != nil || err == nil || err.Error() != strings.Join(lines, "\n") {
			t.Errorf("%q: want\n%s\ngot\n%v (%v)", rule, strings.Join(lines, "\n"), err, limits)
		}
	}
}

func TestParseOfSeveral(t *testing.T) {
	t.Parallel()
	many := make([]string, MaxLimits+1)
	for i := range many {
		many[i] = fmt.Sprintf("ingest/user=%d/h", i+1)
	}
	for name, tt := range map[string]struct {
		rules []string
		want  string // the fault; empty if valid
	}{
		"per second and per day":       {[]string{"gateway/user=5/s", "gateway/user=1000/d"}, ""},
		"the same for another":         {[]string{"gateway/user=5/s", "gateway/agent=5/s", "gateway/token=5/s", "gateway=5/s", "ingest/user=5/s"}, ""},
		"the same pace in two ways":    {[]string{"gateway/user=60/m", "gateway/user=1/s"}, ""},
		"twice":                        {[]string{"gateway/user=5/s", "gateway/user=5/s"}, `--limit "gateway/user=5/s": duplicates another limit`},
		"twice, with different bursts": {[]string{"gateway/user=5/s", "gateway/user=5/s:burst=9"}, `--limit "gateway/user=5/s:burst=9": duplicates another limit`},
		"as many as there may be":      {many[:MaxLimits], ""},
		"too many":                     {many, `--limit "ingest/user=17/h": ingest has more than 16 limits`},
		"each fault":                   {[]string{"gateway=1/s", "x=1/s", "ingest=1/y"}, "--limit \"x=1/s\": the scope must be gateway, ingest or enroll, not \"x\"\n--limit \"ingest=1/y\": the rate is per s, m, h or d, not per \"y\""},
	} {
		limits, err := Parse(tt.rules)
		if tt.want == "" && (err != nil || len(limits) != len(tt.rules)) || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%s: want %q, got %v", name, tt.want, err)
		}
	}
}

func TestFaultsAreShortAndPrintable(t *testing.T) {
	t.Parallel()
	_, err := Parse([]string{strings.Repeat("\xff\n\x1b[31m", 1<<16) + "=" + strings.Repeat("9", 1<<20) + "/" + strings.Repeat("☃", 1<<16)})
	if err == nil || len(err.Error()) > 4096 || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x1b") {
		t.Errorf("got %d bytes: %.300v", len(fmt.Sprint(err)), err)
	}
	if several, ok := err.(interface{ Unwrap() []error }); !ok || len(several.Unwrap()) != 3 {
		t.Errorf("want three faults, each an error, got %v", errors.Unwrap(err))
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	limits := mustParse(t, "gateway/user=60/m", "ingest/user=5/s", "ingest/user=1000/d:burst=50", "gateway=9/h", "ingest/token=1/s")
	want := []string{"user", "user:5/s", "user:1000/d", "all", "token"}
	if got := limits.names(); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

func FuzzParse(f *testing.F) {
	for _, rule := range []string{"gateway/user=60/m", "ingest=1/d:burst=366", "gateway/agent=5/s:burst=20", "=/:=", "ingest/token=1000000000/h"} {
		f.Add(rule)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		limits, err := Parse([]string{rule})
		if err != nil {
			return
		}
		again, err := Parse([]string{limits[0].String()})
		if diff := cmp.Diff(limits, again); err != nil || diff != "" {
			t.Errorf("%q became %s: %v\n%s", rule, limits[0], err, diff)
		}
		l := New(Options{Limits: limits, Now: func() time.Time { return epoch }})
		who := Subject{User: "u", Agent: "a", Token: [32]byte{1}}
		if d := l.Take(limits[0].Scope, who, int(limits[0].Burst)); !d.Allowed {
			t.Errorf("%q: want a full burst let in, got %+v", rule, d)
		}
		if d := l.Take(limits[0].Scope, who, 1); d.Allowed || d.RetryAfter <= 0 || d.RetryAfter > maxRefill {
			t.Errorf("%q: want the next refused, got %+v", rule, d)
		}
	})
}
