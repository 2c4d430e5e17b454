package replica

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/watchbill/watchbill/internal/configfile"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

// priceFile are those in force: the shipped ones, and before them those of a file, which is read again when it changes.
type priceFile struct {
	path    string
	file    *configfile.File
	free    bool // what users host costs nothing
	current atomic.Pointer[prices.List]
}

// What models cost that their users host, as ExecutionConfig.SelfHostedModels says.
const (
	SelfHostedFree     = "free"
	SelfHostedUnpriced = "unpriced"
)

// CheckSelfHosted returns an error that names the flag, unless its value is one of these.
func CheckSelfHosted(value string) error {
	if value != SelfHostedFree && value != SelfHostedUnpriced {
		return fmt.Errorf("--self-hosted-models: must be %s or %s, not %q", SelfHostedFree, SelfHostedUnpriced, value)
	}
	return nil
}

func readPrices(path string, free bool) (*priceFile, error) {
	p := &priceFile{path: path, file: configfile.New(path, prices.MaxFile), free: free}
	p.current.Store(prices.Default().SelfHosted(free))
	return p, p.refresh(context.Background())
}

func (p *priceFile) inForce() *prices.List { return p.current.Load() }

// refresh reads the file if there is one. One that is wrong leaves those in force that were.
func (p *priceFile) refresh(context.Context) error {
	if p.path == "" {
		return nil
	}
	content, changed, err := p.file.Read()
	if err != nil {
		return fmt.Errorf("read the prices: %w", err)
	}
	if !changed {
		return nil
	}
	given, err := prices.Parse(content)
	if err != nil {
		return fmt.Errorf("read the prices in %s: %w", p.path, err)
	}
	p.current.Store(prices.Overlay(prices.Default(), given).SelfHosted(p.free))
	return nil
}

// Prices are those that a replica has with a file of prices; the shipped ones where there is none.
func Prices(config ExecutionConfig) (*prices.List, error) {
	p, err := readPrices(config.PricesFile, config.freeSelfHosted())
	if err != nil {
		return nil, err
	}
	return p.inForce(), nil
}
