package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadUsage checks that every fault of a command line is reported at once, with exit status 2, before any
// connection.
func TestBadUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, blank := filepath.Join(dir, "empty"), filepath.Join(dir, "blank")
	for path, content := range map[string]string{empty: "", blank: "to ken"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const noToken = "no admin token: set ADMIN_TOKEN or --token-file"
	for _, test := range []struct {
		args string // separated by |
		env  []string
		want []string
	}{
		{"report|--hours|0|--sections|errors,weather|--format|pdf", nil, []string{
			"--hours: must be a whole number from 1 to 8784, not 0",
			"--sections[1]: must be one of summary, endpoints, pendingDeployments, databasePool, queries, indexes, errors, executions, costs, users, not \"weather\"",
			`--format: format "pdf" is not one of text, json, markdown, csv, html`,
			noToken,
		}},
		{"report|--hours|12|--from|yesterday|--token-file|" + empty, nil, []string{
			"--hours: cannot be combined with from and to", "--token-file: " + empty + " is empty",
		}},
		{"report|--from|2026-01-15T09:00:00Z|--output|a.htm|--log-dir|" + dir + "/none", []string{"ADMIN_TOKEN", "x"}, []string{
			"--to: is required with from",
			"--log-dir: open " + dir + "/none: no such file or directory",
		}},
		{"report|--format|yaml|--timeout|0s", []string{"ADMIN_TOKEN", "x"}, []string{
			`--format: format "yaml" is not one of text, json, markdown, csv, html`, "--timeout: must be positive",
		}},
		{"report|--hours|abc", nil, []string{`--hours: must be a whole number, not "abc"; see 'watchbill report --help'`}},
		{"report|yesterday", nil, []string{`unexpected argument "yesterday"; usage: watchbill report [flags]`}},
		{"report", []string{"ADMIN_TOKEN", "x", "WATCHBILL_HOURS", "-1", "WATCHBILL_SERVER", "localhost:8080"}, []string{
			"--hours: must be a whole number from 1 to 8784, not -1",
			`--server: must be a URL such as https://watchbill.example, not "localhost:8080"`,
		}},
		{"report|--server|https://user:secret@host|--ca-file|" + empty + "|--token-file|" + blank, nil, []string{
			"--token-file: the token contains a character that tokens do not have, such as a space or a line break",
			"--server: must not hold a user or password", "--ca-file: " + empty + " has no certificate in PEM",
		}},
		{"agent|--wait|2m|--concurrency|0|--drain|-1s|--grace|-1s|--log-level|loud|--server|ftp://host", nil, []string{
			"--id: is required", "no token: set WATCHBILL_TOKEN or --token-file", "--exec: is required",
			"--concurrency: must be at least 1", "--wait: must be from 0 to 1m", "--drain: must not be negative", "--grace: must not be negative",
			`--server: must be a URL such as https://watchbill.example, not "ftp://host"`,
			`--log-level: log level "loud": want debug, info, warn or error`,
		}},
		{"agents|list|--label|a=b,,|--state|gone|-o|yaml|--limit|0", nil, []string{
			`--format: must be table or json, not "yaml"`, "--limit: must be from 1 to 100000",
			"--label: found ',', expected: identifier after ','", `--state: must be online, late or offline, not "gone"`, noToken,
		}},
		{"agents|enroll|--id|a/b|--poll-interval|1500ms", nil, []string{
			`--id: "a/b" must be letters, digits, '.', '_' or '-', starting with a letter or a digit`, "--name: is required",
			"--poll-interval: must be whole seconds from 1s to 1h, not 1.5s",
			"no token: set ENROLLMENT_TOKEN, ADMIN_TOKEN or --token-file",
		}},
		{"costs|--user||--by|agent", []string{"ADMIN_TOKEN", "x"}, []string{"--user: must not be empty"}},
		{"executions|show||--user||--began|today", []string{"ADMIN_TOKEN", "x"}, []string{
			"ID: must not be empty", "--user: must not be empty", `--began: must be a time as in RFC 3339, such as 2026-11-01T00:00:00Z, not "today"`,
		}},
		{"agents|delete", nil, []string{"an argument is missing; usage: watchbill agents delete ID… [flags]"}},
		{"agents|delete|..|ok", nil, []string{`ID: ".." must be letters, digits, '.', '_' or '-', starting with a letter or a digit`, noToken}},
		{"agents|remove", nil, []string{"an argument is missing; usage: watchbill agents delete ID… [flags]"}},
		{"agents|lsit", nil, []string{`unknown command "lsit" for "watchbill agents"; did you mean "list"?`}},
		{"agents|register", nil, []string{`unknown command "register" for "watchbill agents"; did you mean "enroll"?`}},
		{"agents|forget", nil, []string{`unknown command "forget" for "watchbill agents"; commands: delete, enroll, list, rotate`}},
		{"agents|list|all", nil, []string{`unexpected argument "all"; usage: watchbill agents list [flags]`}},
		{"report|--outptu|x", nil, []string{"unknown flag: --outptu; did you mean --output?; see 'watchbill report --help'"}},
		{"serve|--keep-reports|3x", nil, []string{`--keep-reports: must be a duration such as 500ms, 90s, 12h or 30d, not "3x"; see 'watchbill serve --help'`}},
		{"serve", []string{"WATCHBILL_KEEP_REPORTS", "soon", "WATCHBILL_MIGRATE", "maybe"}, []string{
			`WATCHBILL_KEEP_REPORTS: must be a duration such as 500ms, 90s, 12h or 30d, not "soon"`, `WATCHBILL_MIGRATE: must be true or false, not "maybe"`,
		}},
		{"deploy|--agent|a|--selector|x=y|--lease|1s|--max-attempts|0|--spec|[1]", nil, []string{
			"--agent: give either --agent or --selector", "--name: is required", "--max-attempts: must be from 1 to 100",
			"--lease: must be whole seconds from 5s to 24h, not 1s", `--spec: must be a JSON object or a file that holds one; there is no file "[1]"`, noToken,
		}},
		{`deploy|--name|x|--spec|{"a":}`, []string{"ADMIN_TOKEN", "x"}, []string{
			"--agent: give either --agent or --selector", "--spec: must be a JSON object: invalid character '}' looking for beginning of value",
		}},
		{"deploy|--name|x|--agent|a|--spec|-", []string{"ADMIN_TOKEN", "x"}, []string{"--spec: must be a JSON object: unexpected end of JSON input"}},
		{"deployments|list|--agent|a b|--status|done", nil, []string{
			`--agent: "a b" must be letters, digits, '.', '_' or '-', starting with a letter or a digit`,
			`--status: must be pending, running, succeeded, failed, timed_out or cancelled, not "done"`, noToken,
		}},
		{"deployments|cancel", nil, []string{"ID: give either ids or --group", noToken}},
		{"deployments|cancel|1|--group|x", nil, []string{
			`ID: "1" is not an id such as 0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b`, "ID: give either ids or --group",
			`--group: "x" is not an id such as 0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b`, noToken,
		}},
		{"deployments|get|{" + deploymentID + "}", nil, []string{
			`ID: "{` + deploymentID + `}" is not an id such as 0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b`, noToken,
		}},
		{"logs|" + deploymentID + "|--attempt|0", nil, []string{"--attempt: must be from 1 to 100", noToken}},
		{"logs", nil, []string{"an argument is missing; usage: watchbill logs DEPLOYMENT [flags]"}},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			var want strings.Builder
			for _, line := range test.want {
				want.WriteString("watchbill: " + line + "\n")
			}
			shell{}.with(test.env...).run(t.Context(), strings.Split(test.args, "|")...).check(t, exitUsage, "", want.String())
		})
	}
}

func TestHelpHasAnExample(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"report", "agent", "agents list", "agents enroll", "agents delete", "agents rotate",
		"deploy", "deployments list", "deployments get", "deployments cancel", "logs",
	} {
		got := shell{}.run(t.Context(), append(strings.Fields(command), "--help")...)
		if got.code != 0 || !strings.Contains(got.out, "\nExamples:\n  ") || got.err != "" {
			t.Errorf("%s --help: exit %d\n%s%s", command, got.code, got.out, got.err)
		}
	}
}
