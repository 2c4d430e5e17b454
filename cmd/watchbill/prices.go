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

	"github.com/watchbill/watchbill/internal/execution"
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
	prices, err := readPrices(c, "FILE", path)
	if err != nil {
		return err
	}
	names := 0
	for _, price := range prices.Models() {
		names += len(price.Match)
	}
	summary := fmt.Sprintf("%s is good: version %s, %d prices for %d names\n", oneLine(path), prices.Version(), len(prices.Models()), names)
	if err := c.print(summary); err != nil {
		return err
	}
	overrides := execution.Overrides(execution.DefaultPrices(), prices)
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
func readPrices(c console, what, path string) (*execution.Prices, error) {
	content, err := readPriceFile(c.in, path)
	var wrong faults
	wrong.keep(what, err)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	prices, err := execution.ParsePrices(content)
	var all yamlfile.Faults
	if !errors.As(err, &all) {
		return prices, err
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
	return io.ReadAll(io.LimitReader(in, execution.MaxPriceFile+1)) // one more is refused as too large
}

// showPrices are the flags of `watchbill prices show`.
type showPrices struct {
	style          style
	file, provider string
}

func showPricesCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o showPrices
	cmd := &cobra.Command{
		Use:   "show [MODEL…]",
		Short: "Show prices, or the one that a model finds today",
		Long: `Show all prices, in USD per million tokens, in the order in which they are asked. With names of models, as executions
report them, show the price that each finds today, and why others find none.

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
	cmd.Flags().StringVar(&o.provider, "provider", "", "the `provider` that the executions name")
	return cmd
}

func (o showPrices) run(c console, models []string, now time.Time) error {
	var wrong faults
	o.style.check(&wrong)
	wrong.add(o.provider != "" && len(models) == 0, "--provider", "is for the names of models, and there are none")
	if err := wrong.err(); err != nil {
		return err
	}
	prices := execution.DefaultPrices()
	if o.file != "" {
		mounted, err := readPrices(c, "--file", o.file)
		if err != nil {
			return err
		}
		prices = execution.Overlay(prices, mounted)
	}
	list := priceList{Version: prices.Version(), Prices: []listedPrice{}}
	var missing error
	if len(models) == 0 {
		for _, price := range prices.Models() {
			list.Prices = append(list.Prices, newListedPrice(price))
		}
	} else {
		missing = list.find(prices, models, o.provider, now)
	}
	if o.style.json() {
		return errors.Join(c.json(list), missing)
	}
	if len(list.Prices) > 0 {
		if err := c.print(list.table(c, len(models) > 0)); err != nil {
			return err
		}
	}
	return missing
}

// priceList is what is shown, and as JSON too.
type priceList struct {
	Version string        `json:"version"`
	Prices  []listedPrice `json:"prices"`
}

type listedPrice struct {
	Model    string       `json:"model,omitempty"`   // that was asked for
	Pattern  string       `json:"pattern,omitempty"` // that it found
	Match    []string     `json:"match"`
	Provider string       `json:"provider,omitempty"`
	From     string       `json:"from,omitempty"`
	Until    string       `json:"until,omitempty"`
	Rates    listedRates  `json:"usd_per_million_tokens"`
	Tiers    []listedTier `json:"tiers,omitempty"`
	Version  string       `json:"version"`
	Line     int          `json:"line"`
}

// listedRates are decimals, and strings so that nobody rounds them.
type listedRates struct {
	Input      string `json:"input"`
	Output     string `json:"output"`
	CacheRead  string `json:"cache_read"`
	CacheWrite string `json:"cache_write"`
}

type listedTier struct {
	Above int64       `json:"above_input_tokens"`
	Rates listedRates `json:"usd_per_million_tokens"`
}

func newListedPrice(m execution.ModelPrice) listedPrice {
	p := listedPrice{
		Match: m.Match, Provider: m.Provider, From: priceTime(m.From), Until: priceTime(m.Until),
		Rates: newListedRates(m.Rates), Version: m.Version, Line: m.Line,
	}
	for _, tier := range m.Tiers {
		p.Tiers = append(p.Tiers, listedTier{tier.Above, newListedRates(tier.Rates)})
	}
	return p
}

func newListedRates(r execution.Rates) listedRates {
	return listedRates{r.Input.String(), r.Output.String(), r.CacheRead.String(), r.CacheWrite.String()}
}

// priceTime writes a time as a file does.
func priceTime(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.Format(time.DateOnly)
	default:
		return t.Format(time.RFC3339Nano)
	}
}

// find lists the prices of models. The error says which have none, and why.
func (l *priceList) find(prices *execution.Prices, models []string, provider string, now time.Time) error {
	var missing []error
	for _, model := range models {
		found, ok := prices.Find(model, provider, now)
		name := clip(oneLine(model), execution.MaxName)
		switch {
		case !ok:
			missing = append(missing, fmt.Errorf("%s: has no price: no pattern matches it", name))
		case found.Price == nil:
			missing = append(missing, fmt.Errorf("%s: has no price today: those of %s in %s are for other times", name, found.Pattern, found.Version))
		default:
			price := newListedPrice(*found.Price)
			price.Model, price.Pattern = model, found.Pattern
			l.Prices = append(l.Prices, price)
		}
	}
	return errors.Join(missing...)
}

// table has a row for each price, and one below it for each tier.
func (l *priceList) table(c console, asked bool) string {
	head := []string{"MODELS", "PROVIDER", "FROM", "UNTIL", "ABOVE", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "VERSION", "LINE"}
	if asked {
		head = append([]string{"MODEL"}, head...)
		head[1] = "FOUND"
	}
	var rows [][]cell
	for _, p := range l.Prices {
		row := []cell{brief(strings.Join(p.Match, ", "))}
		if asked {
			row = []cell{plain(p.Model), plain(p.Pattern)}
		}
		row = append(row, plain(p.Provider), plain(p.From), plain(p.Until), plain(""))
		tier := make([]cell, len(row))
		rows = append(rows, append(append(row, p.Rates.cells()...), plain(p.Version), plain(strconv.Itoa(p.Line))))
		for _, t := range p.Tiers {
			tier[len(tier)-1] = plain(strconv.FormatInt(t.Above, 10))
			rows = append(rows, append(append([]cell{}, tier...), t.Rates.cells()...))
		}
	}
	return c.table(head, rows)
}

func (r listedRates) cells() []cell {
	return []cell{plain(r.Input), plain(r.Output), plain(r.CacheRead), plain(r.CacheWrite)}
}
