package executions

import "testing"

func TestTextsOfCSVAreInert(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"": "", "gpt-4o": "gpt-4o", "a=b + c - d@e": "a=b + c - d@e", "x\n\ny": "x\n\ny", "a; b, c\td": "a; b, c\td",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", "＝1": "'＝1", " =1": " '=1",
		"\u200b=1": "\u200b'=1", "\ufeff@a": "\ufeff'@a", "\x00=1": "\x00'=1", `"=1`: `"'=1`,
		// A spreadsheet that separates cells by semicolons or tabs takes no notice of the quotes of the field.
		"a;=1+1": "a;'=1+1", "a; =1": "a; '=1", "a\t=1": "a\t'=1", "a\n=1": "a\n'=1", "a\r\n=1": "a\r\n'=1", `a","=1`: `a","'=1`, ";;-1;-2": ";;'-1;'-2",
		"\t=1": "\t'=1", "'=1": "'=1",
	} {
		if got := inert(field); got != want {
			t.Errorf("%q: want %q, got %q", field, want, got)
		}
	}
}
