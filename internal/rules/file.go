package rules

// file returns the groups. Alerts are in the group of what they read, behind it: they see what was recorded at the same
// time, and none sees half of it.
func (p *plan) file() File {
	if p.Mode == None {
		return File{}
	}
	group := func(subject string, rules []Rule) Group {
		return Group{Name: p.groupName(subject), Interval: duration(interval), Rules: rules}
	}
	var objectives, budgets []Rule
	for _, in := range p.indicators {
		objectives = append(objectives, in.recordings()...)
		objectives = append(objectives, in.alerts()...)
		budgets = append(budgets, in.slow()...)
	}
	file := File{Groups: []Group{
		group("objectives", objectives),
		group("report", base{plan: p}.aboutReport()),
	}}
	if len(budgets) > 0 {
		slow := group("budgets", budgets)
		slow.Interval = duration(slowInterval)
		file.Groups = append(file.Groups, slow)
	}
	if len(objectives) == 0 {
		file.Groups = file.Groups[1:] // a group must not be empty
	}
	return file
}

// groupName is unique among all reports: a namespace has no dots.
func (p *plan) groupName(subject string) string {
	return "watchbill." + p.Namespace + "." + p.Name + "." + subject
}
