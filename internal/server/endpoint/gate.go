package endpoint

import "context"

// Gate is a semaphore: it admits a limited number of callers at a time.
type Gate chan struct{}

// NewGate returns a gate that admits width callers at a time.
func NewGate(width int) Gate { return make(Gate, width) }

// Enter waits for a slot, which Leave frees.
func (g Gate) Enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryEnter takes a slot if one is free, and reports whether it did.
func (g Gate) TryEnter() bool {
	select {
	case g <- struct{}{}:
		return true
	default:
		return false
	}
}

// Leave frees a slot.
func (g Gate) Leave() { <-g }
