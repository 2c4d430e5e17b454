package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/text"
)

// reportOptions are the flags of `watchbill report`.
type reportOptions struct {
	access                 access
	name, from, to         string
	hours                  int64
	sections               []string
	output, format, logDir string
	exitZero               bool
}

func reportCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:     "report",
		Aliases: []string{"reports"},
		Short:   "Report on the fleet, the service and AI costs over a time window",
		Long: `Have the server make a report over a time window, and show it or write it to a file.

With --log-dir the report also covers the service's log files in that folder (master-backend.log and database-queries.log,
including rotated and compressed ones), as far as they are of the same window.

Exit status: 0 if all objectives are met, or there is no data to judge them; 3 if one is missed (0 with --exit-zero); 1 if
there is no report; 2 if the command line is wrong.`,
		Example: `  watchbill report --hours 12
  watchbill report --output reports/daily_$(date +%Y%m%d).json --log-dir /var/log/watchbill`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return makeReport(cmd.Context(), newConsole(std, env), o, cmd.Flags())
		},
	}
	flags := cmd.Flags()
	o.access.bind(flags)
	flags.Int64Var(&o.hours, "hours", 24, "length of the report's window, in hours up to now")
	flags.StringVar(&o.from, "from", "", "start `time` of the report's window, such as 2006-01-02T15:04:05Z; with --to, instead of --hours")
	flags.StringVar(&o.to, "to", "", "end `time` of the report's window, such as 2006-01-03T15:04:05Z; with --from")
	flags.StringVar(&o.name, "name", "", "`name` of the report, for people to read")
	flags.StringSliceVar(&o.sections, "sections", nil, "comma-separated `sections` to include (default: all of "+sectionNames()+")")
	flags.StringVar(&o.output, "output", "", "`file` to write the report to; its folder is created if missing")
	flags.StringVar(&o.format, "format", "", "`format` of the report: text, json, markdown, csv or html (default: by the extension of --output, otherwise text)")
	flags.StringVar(&o.logDir, "log-dir", "", "`folder` of the service's log files to analyze as well")
	flags.BoolVar(&o.exitZero, "exit-zero", false, "exit with status 0 even when an objective is missed")
	cmd.AddCommand(reportRunCommand(std, env))
	return cmd
}

func sectionNames() string {
	var names []string
	for _, s := range report.AllSections() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func makeReport(ctx context.Context, c console, o reportOptions, flags *pflag.FlagSet) error {
	var wrong faults
	request := o.request(&wrong, flags.Changed)
	format := o.formatFor(&wrong)
	var logs *logFolder
	if o.logDir != "" {
		logs = openLogFolder(&wrong, o.logDir)
	}
	api := o.access.client(&wrong)
	if err := wrong.err(); err != nil {
		return err
	}
	defer api.close()
	var file *newFile
	if o.output != "" {
		var err error
		if file, err = createFile(o.output); err != nil {
			return err
		}
		defer file.discard()
	}

	shown := startProgress(c, "making the report")
	doc, err := decoded[report.Document](read(api.CreateReportWithBody(ctx, "application/json", bytes.NewReader(request))))
	if err == nil {
		err = checkDocument(doc)
	}
	if err == nil && logs != nil {
		doc.Sections.Logs, err = logs.analyse(ctx, doc.Window.Window, shown.now)
	}
	shown.stop()
	if err != nil {
		return err
	}
	if logs != nil {
		logs.complain(c)
	}
	return o.deliver(c, doc, format, file)
}

// request checks the flags that define the report, which have the names of the request's fields.
func (o *reportOptions) request(wrong *faults, given func(flag string) bool) []byte {
	in := report.Input{Name: o.name, From: o.from, To: o.to}
	if given("hours") || o.from+o.to == "" {
		in.Hours = &o.hours
	}
	if given("sections") {
		in.Sections = slices.Concat([]string{}, o.sections) // not nil, which would mean all
	}
	_, err := report.ParseRequest(in, o.hours, time.Now())
	var fieldErrors report.FieldErrors
	if errors.As(err, &fieldErrors) {
		for _, fault := range fieldErrors {
			wrong.add(true, "--"+fault.Field, "%s", fault.Problem)
		}
		return nil
	}
	request, err := json.Marshal(in)
	wrong.keep("encode the request", err)
	return request
}

// extensions maps file name extensions to report formats.
var extensions = map[string]report.Format{
	".json": report.JSON, ".html": report.HTML, ".htm": report.HTML, ".md": report.Markdown, ".markdown": report.Markdown,
	".csv": report.CSV, ".txt": report.Text, "": report.Text,
}

// formatFor returns the requested format, otherwise that of the file's extension, otherwise text.
func (o *reportOptions) formatFor(wrong *faults) report.Format {
	if o.format == "" {
		extension := strings.ToLower(filepath.Ext(o.output))
		format, known := extensions[extension]
		wrong.add(!known, "--output", "no report format has the extension %q; use .json, .html, .md, .csv or .txt, or set --format", text.FitRunes(extension, 40))
		return format
	}
	format, err := report.ParseFormat(o.format)
	wrong.keep("--format", err)
	return format
}

// checkDocument rejects JSON that is not a Watchbill report.
func checkDocument(doc report.Document) error {
	switch doc.Verdict {
	case report.Pass, report.Fail, report.NoData:
	default:
		return fmt.Errorf("the response is not a Watchbill report; check --server: its verdict is %q", text.FitRunes(string(doc.Verdict), 40))
	}
	if doc.ID == "" || !doc.Window.From.Before(doc.Window.To) {
		return errors.New("the response is not a Watchbill report; check --server: it has no id or window")
	}
	return nil
}

// deliver writes the report, prints its verdict and returns the error with the exit status.
func (o *reportOptions) deliver(c console, doc report.Document, format report.Format, file *newFile) error {
	var rendered bytes.Buffer
	err := report.Render(&rendered, doc, format, report.RenderOptions{Colour: c.colour && file == nil})
	if err != nil {
		return err
	}
	verdict := "verdict " + string(doc.Verdict)
	if missed := missedObjectives(doc); len(missed) > 0 {
		verdict += ": missed " + strings.Join(missed, ", ")
	}
	exit := &exitError{code: exitMissed}
	if file != nil {
		if err := file.commit(rendered.Bytes()); err != nil {
			return err
		}
		c.note("wrote %s, %s", o.output, verdict)
	} else {
		out := c.text()
		if format == report.Text {
			out = c.out // the renderer removed control characters; only the colors are left
		} else {
			exit.err = errors.New(verdict)
		}
		if _, err := out.Write(rendered.Bytes()); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if doc.Verdict != report.Fail || o.exitZero {
		return nil
	}
	return exit
}

func missedObjectives(doc report.Document) []string {
	var missed []string
	for _, r := range doc.Objectives {
		if r.Met != nil && !*r.Met {
			missed = append(missed, text.OneLine(r.Name))
		}
	}
	return missed
}
