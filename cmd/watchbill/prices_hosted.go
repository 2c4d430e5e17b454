package main

import (
	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/internal/replica"
)

// selfHosted is the flag for the prices of self-hosted models. The zero value means its default.
type selfHosted string

func (s *selfHosted) bind(flags *pflag.FlagSet) {
	flags.StringVar((*string)(s), "self-hosted-models", replica.SelfHostedFree, "`cost` of models run by vLLM, Ollama and similar servers: free (zero) or unpriced (unknown)")
}

func (s selfHosted) check(wrong *faults) {
	wrong.keepField(replica.CheckSelfHosted(string(s)))
}

func (s selfHosted) free() bool { return string(s) != replica.SelfHostedUnpriced }
