package text_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/text"
)

func TestShorten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		shorten func(string, int) string
		s       string
		limit   int
		want    string
	}{
		"Cut keeps a short text":                       {text.Cut[string], "añb", 4, "añb"},
		"Cut does not split a character":               {text.Cut[string], "añb", 2, "a"},
		"Cut to nothing":                               {text.Cut[string], "ñ", 1, ""},
		"Clip keeps a short text":                      {text.Clip, "añb", 4, "añb"},
		"Clip does not split a character":              {text.Clip, "añb", 2, "a…"},
		"Clip drops what is not UTF-8":                 {text.Clip, "a\xffb€", 4, "ab…"},
		"Fit keeps a short text":                       {text.Fit, "abcd", 4, "abcd"},
		"Fit counts the ellipsis":                      {text.Fit, "abcde", 4, "a…"},
		"Fit does not split a character":               {text.Fit, "ñbcde", 4, "…"},
		"Fit returns the ellipsis if no more has room": {text.Fit, "abcde", 2, "…"},
		"FitRunes keeps a short text":                  {text.FitRunes, "ñññ", 3, "ñññ"},
		"FitRunes counts characters":                   {text.FitRunes, "ññññ", 3, "ññ…"},
		"Quote escapes":                                {text.Quote, "a\n\"", 9, `"a\n\""`},
		"Quote marks behind the quotes":                {text.Quote, "añb", 2, `"a"…`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.shorten(test.s, test.limit); got != test.want {
				t.Errorf("want %q, got %q", test.want, got)
			}
		})
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                    "",
		" two  words ":                        "two words",
		"one\r\n\ttwo\u2028three":             "one two three",
		"\x1b[31mred\u009b1m\x00":             "\ufffd[31mred\ufffd1m\ufffd",
		"right\u202eto left\ufeff":            "right\ufffdto left\ufffd",
		"half \xe6\xff":                       "half \ufffd\ufffd",
		"\u65e5\u672c\u3000\u00dc \U0001f600": "\u65e5\u672c \u00dc \U0001f600",
	} {
		if got := text.OneLine(in); got != want {
			t.Errorf("%q: want %q, got %q", in, want, got)
		}
	}
}
