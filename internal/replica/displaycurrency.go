package replica

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/watchbill/watchbill/internal/configfile"
	"github.com/watchbill/watchbill/internal/currency"
)

// displayCurrency is the currency shown in addition to USD, with the rates of a file that is reloaded when it changes.
type displayCurrency struct {
	code    string // empty if there is none
	file    *configfile.File
	current atomic.Pointer[currency.Rates]
}

func readDisplayCurrency(code, path string) (*displayCurrency, error) {
	d := &displayCurrency{code: code}
	switch {
	case code == "" && path == "":
		return d, nil
	case code == "" || path == "":
		return nil, errors.New("--display-currency: must be set together with --currency-rate-file")
	case !currency.ValidCode(code):
		return nil, errors.New("--display-currency: must be a code of three letters such as EUR")
	}
	d.file = configfile.New(path, currency.MaxFile)
	if err := d.refresh(context.Background()); err != nil {
		return nil, fmt.Errorf("--currency-rate-file: %w", err)
	}
	return d, nil
}

// rates returns the current rates; none without a currency.
func (d *displayCurrency) rates() currency.Rates {
	if current := d.current.Load(); current != nil {
		return *current
	}
	return nil
}

// refresh reloads the file. If it is invalid the previous rates stay.
func (d *displayCurrency) refresh(context.Context) error {
	if d.file == nil {
		return nil
	}
	content, changed, err := d.file.Read()
	if err != nil {
		return fmt.Errorf("read the currency rates: %w", err)
	}
	if !changed {
		return nil
	}
	rates, err := currency.Parse(content, d.code)
	if err != nil {
		return fmt.Errorf("read the currency rates: %w", err)
	}
	d.current.Store(&rates)
	return nil
}
