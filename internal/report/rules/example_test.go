package rules_test

import (
	"fmt"
	"log"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// The alerts for an objective: fewer than 1 % of the API's responses may be 5xx.
func ExampleBuild() {
	file, notes, err := rules.Build(rules.Report{
		Namespace: "fleet", Name: "daily",
		Objectives: objective.Resolve([]objective.Objective{{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.01"}}}),
	}, rules.Options{Selector: map[string]string{"job": "watchbill"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, note := range notes { // such as objectives that cannot alert
		fmt.Println(note)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				fmt.Println(rule.Alert, rule.Labels["severity"])
			}
		}
	}
	// Output:
	// WatchbillErrorRateHigh critical
	// WatchbillErrorRateHigh critical
	// WatchbillErrorRateHigh warning
	// WatchbillErrorRateHigh warning
	// WatchbillObjectiveBlind warning
	// WatchbillTargetAbsent critical
	// WatchbillReportOverdue warning
	// WatchbillReportFailing warning
}
