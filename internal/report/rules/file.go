package rules

import (
	"slices"
	"strconv"
	"time"
)

// file returns the groups: one per objective, which may be evaluated concurrently, one of the alerts about the report, and
// those of the budgets. Alerts follow the recordings that they use in the same group, so that they see values recorded at
// the same time. No group has more than maxGroupRules.
func (p *plan) file() File {
	if p.Mode == None {
		return File{}
	}
	var file File
	group := func(subject string, every time.Duration, rules []Rule) {
		file.Groups = append(file.Groups, Group{Name: p.groupName(subject), Interval: duration(every), Rules: rules})
	}
	for i, in := range p.indicators {
		name := p.Objectives.All[i].Name
		rules := slices.Concat(in.recordings(), in.alerts(), p.blind(name, in))
		if len(rules) > 0 { // groups must not be empty, and an objective without alerts has no rules
			group("objective:"+name, p.Interval, rules)
		}
	}
	group("report", p.Interval, base{plan: p}.aboutReport())
	for i, budgets := range p.budgets() {
		subject := "budgets"
		if i > 0 {
			subject += ":" + strconv.Itoa(i+1)
		}
		group(subject, 2*p.Interval, budgets)
	}
	return file
}

// budgets returns the rules of slow, with those of an objective in one group.
func (p *plan) budgets() [][]Rule {
	var groups [][]Rule
	for _, in := range p.indicators {
		rules := in.slow()
		if last := len(groups) - 1; last >= 0 && len(groups[last])+len(rules) <= maxGroupRules {
			groups[last] = append(groups[last], rules...)
		} else if len(rules) > 0 {
			groups = append(groups, rules)
		}
	}
	return groups
}

// groupName is unique among all reports: a namespace has no dots, and neither namespaces nor names have colons.
func (p *plan) groupName(subject string) string {
	return "watchbill." + p.Namespace + "." + p.Name + "." + subject
}
