package main

import (
	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/internal/replica"
)

// selfHosted is the flag that says what models cost that their users host. The zero value stands for its default.
type selfHosted string

func (s *selfHosted) bind(flags *pflag.FlagSet) {
	flags.StringVar((*string)(s), "self-hosted-models", replica.SelfHostedFree, "what models cost that vLLM, Ollama and the like run: free (nothing) or unpriced (it is not known)")
}

func (s selfHosted) check(wrong *faults) {
	wrong.keepField(replica.CheckSelfHosted(string(s)))
}

func (s selfHosted) free() bool { return string(s) != replica.SelfHostedUnpriced }
