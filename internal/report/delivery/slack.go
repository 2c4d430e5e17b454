package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/text"
)

// Slack's limits for a message.
const (
	slackSection = 3000 // characters of a section
	slackBlocks  = 50
)

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"` // true keeps text from becoming links and channels
}

type slackBlock struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
}

// slackMessage returns the message for a Slack incoming webhook: the verdict and the objectives, missed ones first.
func slackMessage(r Report) []byte {
	const minutes = "2006-01-02 15:04"
	doc := r.Document
	name := mrkdwn(r.Spec.Namespace+"/"+r.Spec.Name, 128)
	headline := mrkdwn(report.Headline(doc), 200)
	lines := []string{
		fmt.Sprintf("%s *%s*: %s", symbol(doc.Verdict), name, headline),
		fmt.Sprintf("%s to %s UTC, report %s", doc.Window.From.UTC().Format(minutes), doc.Window.To.UTC().Format(minutes), mrkdwn(doc.ID, 64)),
	}
	lines = append(lines, objectives(doc)...)
	message := struct {
		Text   string       `json:"text"` // for notifications
		Blocks []slackBlock `json:"blocks"`
	}{name + ": " + headline, sections(lines)}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(message) // cannot fail for strings and booleans
	return b.Bytes()
}

func symbol(v report.Verdict) string {
	switch v {
	case report.Pass:
		return ":white_check_mark:"
	case report.Fail:
		return ":x:"
	default:
		return ":grey_question:"
	}
}

// objectives returns a line for each objective: missed ones, those without a verdict, met ones.
func objectives(doc report.Document) []string {
	var missed, without, met []string
	for _, o := range doc.Objectives {
		name, target := mrkdwn(o.Name, 64), mrkdwn(report.TargetText(o), 64)
		if o.Met == nil && o.Actual == nil {
			without = append(without, fmt.Sprintf("%s *%s* no data (target %s)", symbol(report.NoData), name, target))
			continue
		}
		line := fmt.Sprintf("*%s* %s (target %s)", name, mrkdwn(report.ActualText(o), 64), target)
		if o.Detail != "" {
			line += ", " + mrkdwn(o.Detail, 200)
		}
		switch {
		case o.Met == nil:
			without = append(without, symbol(report.NoData)+" "+line)
		case *o.Met:
			met = append(met, symbol(report.Pass)+" "+line)
		default:
			missed = append(missed, symbol(report.Fail)+" "+line)
		}
	}
	return append(append(missed, without...), met...)
}

// sections packs lines into as few blocks as possible and states how many did not fit.
func sections(lines []string) []slackBlock {
	var blocks []slackBlock
	var b strings.Builder
	length := 0 // characters in b
	end := func() {
		blocks = append(blocks, slackBlock{"section", slackText{"mrkdwn", b.String(), true}})
		b.Reset()
		length = 0
	}
	for i, line := range lines {
		n := utf8.RuneCountInString(line) + 1
		if length > 0 && length+n > slackSection {
			end()
		}
		if len(blocks) == slackBlocks-1 {
			line = fmt.Sprintf("… and %d more", len(lines)-i)
			b.WriteString(line)
			end()
			return blocks
		}
		b.WriteString(line + "\n")
		length += n
	}
	if length > 0 {
		end()
	}
	return blocks
}

// mrkdwn escapes a text for Slack, after cutting it to a maximum number of characters.
func mrkdwn(s string, limit int) string {
	return slackSyntax.Replace(text.FitRunes(reportjob.OneLine(s), limit))
}

var slackSyntax = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
