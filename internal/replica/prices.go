package replica

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/watched"
)

// prices are those in force: the shipped ones, and before them those of a file, which is read again when it changes.
type prices struct {
	path    string
	file    *watched.File
	current atomic.Pointer[execution.Prices]
}

func readPrices(path string) (*prices, error) {
	p := &prices{path: path, file: watched.New(path, execution.MaxPriceFile)}
	p.current.Store(execution.DefaultPrices())
	return p, p.refresh(context.Background())
}

func (p *prices) inForce() *execution.Prices { return p.current.Load() }

// refresh reads the file if there is one. One that is wrong leaves those in force that were.
func (p *prices) refresh(context.Context) error {
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
	given, err := execution.ParsePrices(content)
	if err != nil {
		return fmt.Errorf("read the prices in %s: %w", p.path, err)
	}
	p.current.Store(execution.Overlay(execution.DefaultPrices(), given))
	return nil
}

// Prices are those that a replica has with a file of prices; the shipped ones where there is none.
func Prices(path string) (*execution.Prices, error) {
	p, err := readPrices(path)
	if err != nil {
		return nil, err
	}
	return p.inForce(), nil
}
