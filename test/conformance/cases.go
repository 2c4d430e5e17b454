package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Paths of the cases and their programs, relative to the tree's root.
const (
	caseFolder    = "test/conformance/cases"
	programFolder = "test/conformance/programs"
	lockFolder    = "test/conformance/locks"
)

// libraryCase is a library in one configuration, with its scenarios.
type libraryCase struct {
	Name      string            `yaml:"-"`
	Library   string            `yaml:"library"` // the library that makes the spans
	Version   string            `yaml:"version"`
	With      string            `yaml:"with"` // the library that it instruments, for the table
	Language  string            `yaml:"language"`
	Packages  []string          `yaml:"packages"` // with exact versions
	Program   string            `yaml:"program"`
	Env       map[string]string `yaml:"env"`
	Logs      bool              `yaml:"logs"`    // whether its program exports logs too
	Content   string            `yaml:"content"` // the setting that enables content
	Scenarios yaml.Node         `yaml:"scenarios"`
	scenarios []scenario
}

// scenario is what the program does, and what must be recorded, except for what the mock counts.
type scenario struct {
	name     string
	Requests *int     `yaml:"requests"`
	Agent    *string  `yaml:"agent"` // of the request
	User     *string  `yaml:"user"`
	Session  *string  `yaml:"session"`
	Tools    *int     `yaml:"tools"`
	Status   string   `yaml:"status"` // of the request
	Content  *bool    `yaml:"content"`
	NotSent  []string `yaml:"not_sent"`
	Because  string   `yaml:"because"` // why the library does not send what it omits
}

// The facts that a library may omit.
var omissions = []string{"input", "output", "cache_read", "cache_write", "reasoning", "content", "question", "agent", "user", "session", "tools", "status", "requests", "inferences", "spans"}

const (
	theAgent   = "weather_agent"
	theUser    = "user-conf-7"
	theSession = "session-conf-7"
)

func loadCases(folder string) ([]*libraryCase, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var cases []*libraryCase
	var faults []error
	for _, file := range files {
		c, err := loadCase(file)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", file, err))
			continue
		}
		cases = append(cases, c)
	}
	return cases, errors.Join(faults...)
}

func loadCase(file string) (*libraryCase, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &libraryCase{Name: strings.TrimSuffix(filepath.Base(file), ".yaml")}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for i := 0; i+1 < len(c.Scenarios.Content); i += 2 {
		s := scenario{name: c.Scenarios.Content[i].Value}
		if err := c.Scenarios.Content[i+1].Decode(&s); err != nil {
			return nil, fmt.Errorf("scenario %s: %w", s.name, err)
		}
		s.complete()
		c.scenarios = append(c.scenarios, s)
	}
	return c, c.check()
}

// complete sets the fields that follow from the scenario's name.
func (s *scenario) complete() {
	kind, _, _ := strings.Cut(s.name, "_")
	set := func(field **string, value string) {
		if *field == nil {
			*field = &value
		}
	}
	if s.Requests == nil {
		one := 1
		s.Requests = &one
	}
	if kind == "agent" {
		set(&s.Agent, theAgent)
		if s.Tools == nil {
			one := 1
			s.Tools = &one
		}
	}
	if strings.HasSuffix(s.name, "usersession") {
		set(&s.User, theUser)
		set(&s.Session, theSession)
	}
	failed := kind == "http429" || kind == "timeout"
	if s.Content == nil {
		expected := !failed && kind != "embeddings"
		s.Content = &expected
	}
	if s.Status == "" {
		s.Status = map[string]string{"http429": "failure", "timeout": "timeout"}[kind]
	}
	if s.Status == "" {
		s.Status = "success"
	}
}

// pinned matches packages with an exact version, of Python, npm and Maven.
var pinned = map[string]*regexp.Regexp{
	"python":     regexp.MustCompile(`^[\w.-]+(\[[\w,-]+\])?==[\w.!+-]+$`),
	"javascript": regexp.MustCompile(`^(@[\w.-]+/)?[\w.-]+@\d+\.\d+\.\d+[\w.-]*$`),
	"java":       regexp.MustCompile(`^[\w.-]+:[\w.-]+:\d[\w.-]*$`),
}

func (c *libraryCase) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	pin := pinned[c.Language]
	if pin == nil {
		fault("language %q is not python, javascript or java", c.Language)
		pin = regexp.MustCompile("")
	}
	for _, p := range c.Packages {
		if !pin.MatchString(p) {
			fault("package %q has no exact version", p)
		}
	}
	for name, value := range map[string]string{"library": c.Library, "version": c.Version, "program": c.Program, "content": c.Content} {
		if value == "" {
			fault("%s is missing", name)
		}
	}
	if len(c.scenarios) == 0 {
		fault("there are no scenarios")
	}
	for _, s := range c.scenarios {
		for _, what := range s.NotSent {
			if !slices.Contains(omissions, what) {
				fault("scenario %s: not_sent %q is not one of %v", s.name, what, omissions)
			}
		}
		if (len(s.NotSent) > 0) != (s.Because != "") {
			fault("scenario %s: not_sent and because go together", s.name)
		}
	}
	return errors.Join(faults...)
}
