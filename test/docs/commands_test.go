package docs_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/internal/testkit/tree"
)

var (
	commandInBlock = regexp.MustCompile(`(?m)(?:^|[|;(] *)watchbill ([^\n|;)]+)`)
	commandInline  = regexp.MustCompile("`watchbill ([^`]+)`")
	word           = regexp.MustCompile(`^[a-z]+$`)
	flag           = regexp.MustCompile(`--[a-z-]+`)
)

// TestCommands checks that the program has the commands and flags that the pages name.
func TestCommands(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "watchbill")
	run(t, tree.Root(), "go", "build", "-buildvcs=false", "-o", program, "./cmd/watchbill")
	help := map[string]string{}
	helpOf := func(command string) string {
		if help[command] == "" {
			help[command] = run(t, "", program, append(strings.Fields(command), "--help")...)
		}
		return help[command]
	}
	serve := helpOf("serve") + helpOf("controller")
	checked := 0
	for _, page := range pages(t) {
		text := read(t, page)
		matches := commandInline.FindAllStringSubmatch(text, -1)
		for _, block := range blocks(text, "sh") {
			matches = append(matches, commandInBlock.FindAllStringSubmatch(block, -1)...)
		}
		for _, match := range matches {
			checked++
			line, _, _ := strings.Cut(match[1], " #")
			command := ""
			for field := range strings.FieldsSeq(line) {
				if !word.MatchString(field) || !strings.Contains(helpOf(command), "\n  "+field+" ") {
					break
				}
				command = strings.TrimSpace(command + " " + field)
			}
			if command == "" {
				t.Errorf("%s: there is no command watchbill %s", page, line)
			}
			for _, name := range flag.FindAllString(line, -1) {
				if !strings.Contains(helpOf(command), name+" ") {
					t.Errorf("%s: watchbill %s has no flag %s", page, command, name)
				}
			}
		}
		// Flags without a command are those of the API or the controller.
		for _, inline := range regexp.MustCompile("`(--[a-z-]+)[^`]*`").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(serve, inline[1]+" ") {
				t.Errorf("%s: neither watchbill serve nor watchbill controller has the flag %s", page, inline[1])
			}
		}
	}
	if checked < 12 {
		t.Errorf("found %d commands, want all", checked)
	}
}

func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

var (
	request  = regexp.MustCompile(`\$WATCHBILL_SERVER(/[^\s"';?]*)(\?[^\s"';]*)?`)
	variable = regexp.MustCompile(`\{[a-z_]+\}|<[a-z]+>|\$[a-z]+`)
)

// TestRequests checks that the API has the endpoints and parameters that the pages use.
func TestRequests(t *testing.T) {
	t.Parallel()
	var contract struct {
		Paths map[string]struct {
			Get struct {
				Parameters []struct {
					Name string
					Ref  string `json:"$ref"`
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "api/openapi/watchbill.yaml")), &contract); err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{} // of a GET, by path
	for path, item := range contract.Paths {
		var names []string
		for _, p := range item.Get.Parameters {
			names = append(names, p.Name+filepath.Base(p.Ref)) // a reference has the name of its parameter
		}
		parameters[variable.ReplaceAllString(path, "*")] = " " + strings.Join(names, " ") + " "
	}
	checked := 0
	for _, page := range pages(t) {
		for _, match := range request.FindAllStringSubmatch(read(t, page), -1) {
			checked++
			known, ok := parameters[variable.ReplaceAllString(match[1], "*")]
			if !ok {
				t.Errorf("%s: there is no %s", page, match[1])
				continue
			}
			for pair := range strings.SplitSeq(strings.TrimPrefix(match[2], "?"), "&") {
				name, _, _ := strings.Cut(pair, "=")
				if name != "" && !strings.Contains(strings.ReplaceAll(known, ".", " "), " "+name) {
					t.Errorf("%s: GET %s has no parameter %s; it has%s", page, match[1], name, known)
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("found %d requests, want all", checked)
	}
}
