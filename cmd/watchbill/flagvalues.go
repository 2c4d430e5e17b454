package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/internal/text"
)

// day is the unit d of durations, independent of the calendar.
const day = 24 * time.Hour

// tidyFlags makes the flags of a command and its subcommands print and parse durations in days too, and removes
// brackets from the defaults of lists.
func tidyFlags(cmd *cobra.Command) {
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			switch f.Value.Type() {
			case "duration":
				if _, done := f.Value.(durationFlag); !done {
					f.Value = durationFlag{f.Value}
				}
				f.DefValue = f.Value.String()
			case "stringToString":
				f.DefValue = strings.Trim(f.DefValue, "[]")
			case "stringSlice", "stringArray":
				if f.DefValue != "[]" { // pflag does not print [] for these
					f.DefValue = strings.Trim(f.DefValue, "[]")
				}
			}
		})
	}
	for _, sub := range cmd.Commands() {
		tidyFlags(sub)
	}
}

// durationFlag is a duration flag that accepts days.
type durationFlag struct{ pflag.Value }

func (d durationFlag) String() string {
	parsed, err := time.ParseDuration(d.Value.String())
	if err != nil {
		return d.Value.String()
	}
	return text.Duration(parsed)
}

func (d durationFlag) Set(text string) error {
	parsed, err := parseDuration(text)
	if err != nil {
		return err
	}
	return d.Value.Set(parsed.String())
}

// parseDuration parses a duration as time.ParseDuration does, with an optional number of days in front: 30d, 1d12h.
func parseDuration(s string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, errors.New("days must be a whole number from 0 to 65535")
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	remainder, err := time.ParseDuration(rest)
	if err != nil || remainder < 0 {
		return 0, fmt.Errorf("%q does not follow days", text.FitRunes(rest, 40))
	}
	return d + remainder, nil
}

// valueKinds describes a flag's values by the type of the flag.
var valueKinds = map[string]string{
	"int": "a whole number", "int32": "a whole number", "int64": "a whole number", "float64": "a number",
	"bool": "true or false", "duration": "a duration such as 500ms, 90s, 12h or 30d", "stringToString": "comma-separated key=value pairs",
}

// badValue describes a bad value and names its source, a flag or a variable.
func badValue(source string, f *pflag.Flag, value string, err error) error {
	if kind, ok := valueKinds[f.Value.Type()]; ok {
		return fmt.Errorf("%s: must be %s, not %q", source, kind, text.FitRunes(value, 40))
	}
	return fmt.Errorf("%s: %w", source, err)
}

// flagError converts an error of the flag parser into one that names the flag and the next step.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		err = badValue("--"+invalid.GetFlag().Name, invalid.GetFlag(), invalid.GetValue(), invalid.Unwrap())
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if near := nearestFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			err = fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return usageError(fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath()))
}

// nearestFlag returns the flag that was probably meant, or "".
func nearestFlag(cmd *cobra.Command, name string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return nearest(name, names)
}
