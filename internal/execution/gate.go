package execution

import "context"

// Gate admits executions. Its error is a sentence for the client, which may retry later.
type Gate func([]Execution) error

type gateKey struct{}

// WithGate returns a context with a gate, for the code that decodes executions and so first knows their number and users.
func WithGate(ctx context.Context, gate Gate) context.Context {
	return context.WithValue(ctx, gateKey{}, gate)
}

// Admit calls the gate in ctx. Without one it admits everything.
func Admit(ctx context.Context, executions []Execution) error {
	if gate, ok := ctx.Value(gateKey{}).(Gate); ok {
		return gate(executions)
	}
	return nil
}
