package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/text"
	"github.com/watchbill/watchbill/internal/yamlfile"
)

func pricesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "prices",
		Aliases: []string{"price"},
		Short:   "Show, check and apply prices of models",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkPricesCommand(std, env), showPricesCommand(std, env), repriceCommand(std, env))
	return cmd
}

func checkPricesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a file of prices",
		Long: `Check a file of prices, or standard input if FILE is -. Every error is shown as FILE:LINE: field: what is wrong. For a valid
file, list its prices that take precedence over built-in ones.

Exit status: 0 if the file is valid; 1 if it is not; 2 if it cannot be read, or the command line is wrong.`,
		Example: "  watchbill prices check /etc/watchbill/prices.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return checkPrices(newConsole(std, env), args[0])
		},
	}
}

func checkPrices(c console, path string) error {
	list, err := readPrices(c, "FILE", path)
	if err != nil {
		return err
	}
	names := 0
	for _, price := range list.Models() {
		names += len(price.Match)
	}
	summary := fmt.Sprintf("%s is valid: version %s, %s for %s\n", text.OneLine(path), list.Version(),
		plural(len(list.Models()), "price", "prices"), plural(names, "model name", "model names"))
	if err := c.print(summary); err != nil {
		return err
	}
	overrides := prices.Overrides(prices.Default(), list)
	if len(overrides) == 0 {
		c.note("no price takes precedence over a built-in one")
		return nil
	}
	rows := make([][]cell, len(overrides))
	for i, o := range overrides {
		rows[i] = []cell{plain(strconv.Itoa(o.Price.Line)), brief(strings.Join(o.Price.Match, ", ")), plain(strings.Join(o.Of, ", "))}
	}
	return c.print(c.table([]string{"LINE", "MODELS", "INSTEAD OF BUILT-IN PRICES OF"}, rows))
}

// readPrices reads a price file and shows all its faults.
func readPrices(c console, what, path string) (*prices.List, error) {
	content, err := readPriceFile(c.in, path)
	var wrong faults
	wrong.keep(what, err)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	list, err := prices.Parse(content)
	var all yamlfile.Faults
	if !errors.As(err, &all) {
		return list, err
	}
	for _, fault := range all {
		c.tell(text.OneLine(fmt.Sprintf("%s:%d: %s: %s", path, fault.Line, fault.Field, fault.Detail)), "\n")
	}
	return nil, &exitError{code: exitFailed}
}

func readPriceFile(stdin io.Reader, path string) ([]byte, error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, prices.MaxFile+1)) // one more is refused as too large
}

// showPrices are the flags of `watchbill prices show`.
type showPrices struct {
	style    style
	file, at string
	query    prices.Query
	hosted   selfHosted
}

func showPricesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o showPrices
	cmd := &cobra.Command{
		Use:     "show [MODEL…]",
		Aliases: []string{"list", "ls", "get"},
		Short:   "Show all prices, or the price of given models",
		Long: `Show all prices, in USD per million tokens, in the order in which they are tried. With names of models, as executions
report them, show the price that applies to each, or why there is none. --provider, --region, --service-tier and --at narrow
the lookup as the same facts of an execution would; the prices shown then include multipliers for region, tier and hour.

Exit status: 0; 1 if a model has no price, or the file is not valid; 2 if the command line is wrong.`,
		Example: `  watchbill prices show gpt-4o-2024-08-06 us.anthropic.claude-sonnet-4-5-20250929-v1:0
  watchbill prices show --file /etc/watchbill/prices.yaml -o json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, models []string) error {
			return o.run(newConsole(std, env), models, time.Now())
		},
	}
	o.style.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.file, "file", "", "YAML `file` of prices that take precedence over the built-in ones")
	cmd.Flags().StringVar(&o.query.Provider, "provider", "", "look up the price at this `provider`, as executions name it")
	cmd.Flags().StringVar(&o.query.Region, "region", "", "look up the price for a model that ran in this `region`")
	cmd.Flags().StringVar(&o.query.ServiceTier, "service-tier", "", "look up the price for this service `tier`, such as batch")
	cmd.Flags().StringVar(&o.at, "at", "", "look up the price at this `time`, such as 2006-01-02T15:04:05Z (default: now)")
	o.hosted.bind(cmd.Flags())
	return cmd
}

func (o showPrices) run(c console, models []string, now time.Time) error {
	var wrong faults
	o.style.check(&wrong)
	for _, flag := range []struct{ name, value string }{
		{"--provider", o.query.Provider}, {"--region", o.query.Region}, {"--service-tier", o.query.ServiceTier}, {"--at", o.at},
	} {
		wrong.add(flag.value != "" && len(models) == 0, flag.name, "needs the name of a model as an argument")
	}
	o.hosted.check(&wrong)
	o.query.At = now
	if o.at != "" {
		at, err := time.Parse(time.RFC3339, o.at)
		wrong.add(err != nil, "--at", "must be a time such as 2006-01-02T15:04:05Z, not %q", o.at)
		o.query.At = at
	}
	if err := wrong.err(); err != nil {
		return err
	}
	list := prices.Default()
	if o.file != "" {
		mounted, err := readPrices(c, "--file", o.file)
		if err != nil {
			return err
		}
		list = prices.Overlay(list, mounted)
	}
	list = list.SelfHosted(o.hosted.free())
	shown := priceList{Version: list.Version(), Prices: []listedPrice{}}
	var missing error
	if len(models) == 0 {
		for _, price := range list.Models() {
			shown.Prices = append(shown.Prices, newListedPrice(price))
		}
	} else {
		missing = shown.find(list, models, o.query)
	}
	if o.style.json() {
		return errors.Join(c.json(shown), missing)
	}
	if len(shown.Prices) > 0 {
		if err := c.print(shown.table(c, len(models) > 0)); err != nil {
			return err
		}
	}
	return missing
}
