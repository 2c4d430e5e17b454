package replica

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/watchbill/watchbill/internal/execution"
)

// prices are those in force: the shipped ones, and before them those of a file, which is read again when it changes.
type prices struct {
	path    string
	current atomic.Pointer[execution.Prices]
	read    []byte // what was read last
}

func readPrices(path string) (*prices, error) {
	p := &prices{path: path}
	p.current.Store(execution.DefaultPrices())
	return p, p.refresh(context.Background())
}

func (p *prices) inForce() *execution.Prices { return p.current.Load() }

// refresh reads the file if there is one. One that is wrong leaves those in force that were.
func (p *prices) refresh(context.Context) error {
	if p.path == "" {
		return nil
	}
	content, err := readPriceFile(p.path)
	if err != nil || bytes.Equal(content, p.read) {
		return err
	}
	table, err := parsePrices(p.path, content)
	if err != nil {
		return err
	}
	p.current.Store(table)
	p.read = content
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

func readPriceFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the prices: %w", err)
	}
	if info.Size() > execution.MaxPriceFile {
		return nil, fmt.Errorf("read the prices: %s has more than %d bytes", path, execution.MaxPriceFile)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the prices: %w", err)
	}
	return content, nil
}

func parsePrices(path string, content []byte) (*execution.Prices, error) {
	given, err := execution.ParsePrices(content)
	if err != nil {
		return nil, fmt.Errorf("read the prices in %s: %w", path, err)
	}
	return execution.Overlay(execution.DefaultPrices(), given), nil
}
