package report

import (
	"html/template"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestPageIsEscaped checks that a page is what html/template makes of the same page as a template, for any data.
func TestPageIsEscaped(t *testing.T) {
	t.Parallel()
	page, err := template.ParseFiles("testdata/page.html.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	hostile := rapid.OneOf(
		rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("<>\"'&+`=/-!\x00 \n\u2028{}é😀")), 0, 20, -1),
		rapid.SampledFrom([]string{
			"", "report", "</style><script>", "</title>", "--><!--", "&lt;&#34;", "javascript:alert(1)", `" onload="x`, "{{.Name}}", "\xff\xc0",
		}),
	)
	table := rapid.Custom(func(t *rapid.T) pageTable {
		return pageTable{
			ID: rapid.StringMatching("t[1-9]").Draw(t, "id"), Title: hostile.Draw(t, "title"), Link: hostile.Draw(t, "link"),
			None: hostile.Draw(t, "none"), Things: hostile.Draw(t, "things"),
			Wide: rapid.Bool().Draw(t, "wide"), Cards: rapid.Bool().Draw(t, "cards"),
			Columns: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pageColumn {
				return pageColumn{Head: hostile.Draw(t, "head"), Class: hostile.Draw(t, "class")}
			}), 0, 3).Draw(t, "columns"),
			Rows: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pageRow {
				return pageRow{
					Label: hostile.Draw(t, "label"), Class: hostile.Draw(t, "class"),
					Cells: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pageCell {
						return pageCell{
							Text: hostile.Draw(t, "text"), Class: hostile.Draw(t, "class"), Mark: hostile.Draw(t, "mark"),
							Bar: hostile.Draw(t, "bar"), Head: hostile.Draw(t, "head"),
						}
					}), 0, 3).Draw(t, "cells"),
				}
			}), 0, 3).Draw(t, "rows"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		p := pageOf{
			Policy: hostile.Draw(t, "policy"), Name: hostile.Draw(t, "name"), Verdict: hostile.Draw(t, "verdict"),
			Tone: rapid.OneOf(rapid.SampledFrom([]string{"good", "bad", "unsure", ""}), hostile).Draw(t, "tone"),
			Rest: hostile.Draw(t, "rest"), When: hostile.Draw(t, "when"), Compares: rapid.Bool().Draw(t, "compares"),
			Changes: rapid.SliceOfN(hostile, 0, 3).Draw(t, "changes"),
			Charts: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pageChart {
				return pageChart{Title: hostile.Draw(t, "title"), Keys: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chartKey {
					return chartKey{hostile.Draw(t, "class"), hostile.Draw(t, "label"), hostile.Draw(t, "figure")}
				}), 0, 3).Draw(t, "keys")}
			}), 0, 3).Draw(t, "charts"),
			Course: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pageRow {
				return pageRow{Label: hostile.Draw(t, "label"), Cells: []pageCell{{Text: hostile.Draw(t, "text")}}}
			}), 0, 3).Draw(t, "course"),
			Heads: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pageHead {
				return pageHead{Label: hostile.Draw(t, "label"), Text: hostile.Draw(t, "text")}
			}), 0, 3).Draw(t, "heads"),
			Links: rapid.SliceOfN(table, 0, 4).Draw(t, "links"), Tabs: rapid.SliceOfN(table, 0, 3).Draw(t, "tabs"),
		}
		var want strings.Builder
		if err := page.Execute(&want, struct {
			pageOf
			Style template.CSS
		}{p, template.CSS(pageStyle)}); err != nil {
			t.Fatal(err)
		}
		var got markup
		p.write(&got)
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Errorf("differs from html/template: %s", diff)
		}
	})
}
