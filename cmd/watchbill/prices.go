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
	"github.com/watchbill/watchbill/internal/yamlfile"
)

func pricesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prices",
		Short: "Check and show what models cost",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkPricesCommand(std, env), showPricesCommand(std, env), repriceCommand(std, env))
	return cmd
}

func checkPricesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a file of prices",
		Long: `Check a file of prices, - for standard input. Every fault is shown as FILE:LINE: field: what is wrong. Of a file without
any it is said which of its prices go before shipped ones.

Exit status: 0 the file is good; 1 it is not; 2 it cannot be read, or the command line is wrong.`,
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
	summary := fmt.Sprintf("%s is good: version %s, %d prices for %d names\n", oneLine(path), list.Version(), len(list.Models()), names)
	if err := c.print(summary); err != nil {
		return err
	}
	overrides := prices.Overrides(prices.Default(), list)
	if len(overrides) == 0 {
		c.note("it overrides no shipped price")
		return nil
	}
	rows := make([][]cell, len(overrides))
	for i, o := range overrides {
		rows[i] = []cell{plain(strconv.Itoa(o.Price.Line)), brief(strings.Join(o.Price.Match, ", ")), plain(strings.Join(o.Of, ", "))}
	}
	return c.print(c.table([]string{"LINE", "MODELS", "INSTEAD OF THE SHIPPED PRICES OF"}, rows))
}

// readPrices reads a file of prices, and shows every fault of it.
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
		c.tell(oneLine(fmt.Sprintf("%s:%d: %s: %s", path, fault.Line, fault.Field, fault.Detail)), "\n")
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
		Use:   "show [MODEL…]",
		Short: "Show prices, or the one that a model finds today",
		Long: `Show all prices, in USD per million tokens, in the order in which they are asked. With names of models, as executions
report them, show the price that each finds now, and why others find none. --provider, --region, --service-tier and --at
say what else an execution tells; regions, tiers and hours multiply the prices that are shown then.

Exit status: 0; 1 a model has no price, or the file is not good; 2 the command line is wrong.`,
		Example: `  watchbill prices show gpt-4o-2024-08-06 us.anthropic.claude-sonnet-4-5-20250929-v1:0
  watchbill prices show --file /etc/watchbill/prices.yaml -o json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, models []string) error {
			return o.run(newConsole(std, env), models, time.Now())
		},
	}
	o.style.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.file, "file", "", "`file` of prices that go before the shipped ones")
	cmd.Flags().StringVar(&o.query.Provider, "provider", "", "the `provider` that the executions name")
	cmd.Flags().StringVar(&o.query.Region, "region", "", "the `region` in which the model ran")
	cmd.Flags().StringVar(&o.query.ServiceTier, "service-tier", "", "the `tier` of service, such as batch")
	cmd.Flags().StringVar(&o.at, "at", "", "the `time` when the executions began, such as 2006-01-02T15:04:05Z; now if empty")
	o.hosted.bind(cmd.Flags())
	return cmd
}

func (o showPrices) run(c console, models []string, now time.Time) error {
	var wrong faults
	o.style.check(&wrong)
	for _, flag := range []struct{ name, value string }{
		{"--provider", o.query.Provider}, {"--region", o.query.Region}, {"--service-tier", o.query.ServiceTier}, {"--at", o.at},
	} {
		wrong.add(flag.value != "" && len(models) == 0, flag.name, "is for the names of models, and there are none")
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
