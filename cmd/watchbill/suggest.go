package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/text"
)

// argumentError describes the fault in a command's arguments, and the correct usage.
func argumentError(cmd *cobra.Command, args []string) error {
	switch {
	case cmd.HasAvailableSubCommands():
		return unknownCommand(cmd, args[0])
	case len(args) == 0:
		return fmt.Errorf("an argument is missing; usage: %s", cmd.UseLine())
	default:
		return fmt.Errorf("unexpected argument %q; usage: %s", text.FitRunes(args[len(args)-1], 60), cmd.UseLine())
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	err := fmt.Errorf("unknown command %q for %q", text.FitRunes(name, 60), cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			names = append(names, sub.Name())
		}
	}
	return fmt.Errorf("%w; commands: %s", err, strings.Join(names, ", "))
}

// nearest returns the name that was probably meant, or "". Cobra does this for commands only.
func nearest(name string, names []string) string {
	parent := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, one := range names {
		parent.AddCommand(&cobra.Command{Use: one, Run: func(*cobra.Command, []string) {}})
	}
	if near := parent.SuggestionsFor(name); len(near) > 0 {
		return near[0]
	}
	return ""
}
