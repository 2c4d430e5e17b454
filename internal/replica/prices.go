package replica

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/watchbill/watchbill/internal/configfile"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

// priceFile are the current prices: those of a file, which is reloaded when it changes, then the shipped ones.
type priceFile struct {
	path    string
	file    *configfile.File
	free    bool // self-hosted models cost nothing
	current atomic.Pointer[prices.List]
}

// Values of ExecutionConfig.SelfHostedModels.
const (
	SelfHostedFree     = "free"
	SelfHostedUnpriced = "unpriced"
)

// CheckSelfHosted returns an error that names the flag unless its value is one of these.
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

// refresh reads the file, if any. If it is invalid the previous prices stay.
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

// Prices returns the prices of a replica with the configured file, or the shipped ones.
func Prices(config ExecutionConfig) (*prices.List, error) {
	p, err := readPrices(config.PricesFile, config.freeSelfHosted())
	if err != nil {
		return nil, err
	}
	return p.inForce(), nil
}
