package report

import (
	"fmt"
	"strings"
)

func renderMarkdown(doc Document) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Report%s\n\n", markdownText(titled(doc.Name)))
	fmt.Fprintf(&b, "**%s**\n\n", markdownText(Headline(doc)))
	fmt.Fprintf(&b, "- Window: %s\n", doc.Window.span())
	if doc.Previous != nil {
		fmt.Fprintf(&b, "- Previous: %s\n", doc.Previous.Window.span())
	}
	fmt.Fprintf(&b, "- Made: %s, id %s\n", timestamp(doc.GeneratedAt), markdownText(doc.ID))
	for _, t := range tables(doc) {
		fmt.Fprintf(&b, "\n## %s\n\n", t.title)
		if len(t.rows) == 0 {
			fmt.Fprintf(&b, "%s\n", t.none)
			continue
		}
		for i, line := range t.grid(markdownText) {
			for _, c := range line {
				b.WriteString("| " + c.text + " ")
			}
			b.WriteString("|\n")
			if i > 0 {
				continue
			}
			b.WriteString("| --- ")
			for _, c := range t.columns {
				if c.words {
					b.WriteString("| --- ")
				} else {
					b.WriteString("| ---: ")
				}
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// markdownText escapes a text for Markdown.
func markdownText(s string) string {
	return markdownSyntax.Replace(printable(s))
}

var markdownSyntax = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `<`, `\<`, `>`, `\>`, `|`, `\|`, `~`, `\~`, `&`, `\&`)
