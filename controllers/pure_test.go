package controllers

import (
	"encoding/json"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

func TestHolds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		have, want string
		holds      bool
	}{
		"the same":                    {`{"a":1,"b":{"c":"x"}}`, `{"a":1,"b":{"c":"x"}}`, true},
		"a field more":                {`{"a":1,"b":2}`, `{"a":1}`, true},
		"a field less":                {`{"a":1}`, `{"a":1,"b":2}`, false},
		"another value":               {`{"a":1}`, `{"a":2}`, false},
		"another type":                {`{"a":"1"}`, `{"a":1}`, false},
		"false is a value":            {`{}`, `{"a":false}`, false},
		"empty is as good as missing": {`{}`, `{"a":{},"b":[]}`, true},
		"list longer":                 {`{"args":["a","b"]}`, `{"args":["a"]}`, false},
		"list in another order":       {`{"args":["b","a"]}`, `{"args":["a","b"]}`, false},
		"objects with more fields":    {`{"rules":[{"a":1,"b":2}]}`, `{"rules":[{"a":1}]}`, true},
		"a foreign subject":           {`{"subjects":[{"name":"a"},{"name":"b"}]}`, `{"subjects":[{"name":"a"}]}`, false},
		"a foreign container":         {`{"containers":[{"name":"b"},{"name":"a","x":1}]}`, `{"containers":[{"name":"a"}]}`, true},
		"our container changed":       {`{"containers":[{"name":"b","x":1},{"name":"a","x":2}]}`, `{"containers":[{"name":"a","x":1}]}`, false},
		"our container gone":          {`{"containers":[{"name":"b"}]}`, `{"containers":[{"name":"a"}]}`, false},
		"another owner beside us":     {`{"ownerReferences":[{"name":"a","uid":"2"},{"name":"a","uid":"1"}]}`, `{"ownerReferences":[{"name":"a","uid":"1"}]}`, true},
		"an owner of our name":        {`{"ownerReferences":[{"name":"a","uid":"2"}]}`, `{"ownerReferences":[{"name":"a","uid":"1"}]}`, false},
		"a list where an object was":  {`{"a":[]}`, `{"a":{"b":1}}`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var have, want any
			for text, into := range map[string]*any{tt.have: &have, tt.want: &want} {
				if err := json.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(err)
				}
			}
			if tt.have == tt.want {
				have = want
			}
			if got := holds(have, want); got != tt.holds {
				t.Errorf("holds(%s, %s) = %v", tt.have, tt.want, got)
			}
		})
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	parsed, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func tableOf(t *testing.T, schedule, zone string) timetable {
	t.Helper()
	table, ok := timetableOf(&batchv1.CronJob{Spec: batchv1.CronJobSpec{
		Schedule: schedule, TimeZone: &zone, StartingDeadlineSeconds: new(int64(600)),
	}}, at(t, "2026-03-01 00:00:00"))
	if !ok {
		t.Fatalf("%q is no timetable", schedule)
	}
	return table
}

func TestNextSlot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		schedule, zone      string
		now, last, recorded string
		changed             bool // the spec changed since next was written
		want                string
	}{
		"first":                       {"0 * * * *", "Etc/UTC", "2026-03-10 10:30:00", "", "", false, "2026-03-10 11:00:00"},
		"stays":                       {"0 * * * *", "Etc/UTC", "2026-03-10 10:30:01", "2026-03-10 10:00:00", "2026-03-10 11:00:00", false, "2026-03-10 11:00:00"},
		"moves when it comes":         {"0 * * * *", "Etc/UTC", "2026-03-10 11:00:00", "2026-03-10 10:00:00", "2026-03-10 11:00:00", false, "2026-03-10 12:00:00"},
		"another schedule":            {"0 12 * * *", "Etc/UTC", "2026-03-10 10:30:00", "2026-03-10 10:00:00", "2026-03-10 11:00:00", true, "2026-03-10 12:00:00"},
		"in its zone":                 {"0 0 * * *", "Europe/Berlin", "2026-03-10 10:30:00", "", "", false, "2026-03-10 23:00:00"},
		"set back over a slot":        {"0 * * * *", "Etc/UTC", "2026-03-10 10:59:50", "", "2026-03-10 12:00:00", false, "2026-03-10 12:00:00"},
		"set back over a run slot":    {"0 * * * *", "Etc/UTC", "2026-03-10 10:59:50", "2026-03-10 11:00:00", "", false, "2026-03-10 12:00:00"},
		"it was wrong by a year":      {"0 * * * *", "Etc/UTC", "2026-03-10 10:30:00", "", "2027-03-10 11:00:00", false, "2026-03-10 11:00:00"},
		"its runs were, too":          {"0 * * * *", "Etc/UTC", "2026-03-10 10:30:00", "2027-03-10 10:00:00", "2027-03-10 11:00:00", false, "2026-03-10 11:00:00"},
		"what is run is not next":     {"0 * * * *", "Etc/UTC", "2026-03-10 10:59:58", "2026-03-10 11:00:00", "2026-03-10 11:00:00", false, "2026-03-10 12:00:00"},
		"every, from the last":        {"@every 90m", "Etc/UTC", "2026-03-10 10:30:00", "2026-03-10 10:17:00", "", false, "2026-03-10 11:47:00"},
		"every, after some were lost": {"@every 90m", "Etc/UTC", "2026-03-10 15:00:00", "2026-03-10 10:00:00", "", false, "2026-03-10 16:00:00"},
		"every, exactly at a slot":    {"@every 90m", "Etc/UTC", "2026-03-10 11:30:00", "2026-03-10 10:00:00", "", false, "2026-03-10 13:00:00"},
		"every, without a last stays": {"@every 90m", "Etc/UTC", "2026-03-10 10:40:00", "", "2026-03-10 12:00:00", false, "2026-03-10 12:00:00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := &v1alpha1.MonitoringReport{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			report.Status.ObservedGeneration = 2
			if tt.changed {
				report.Status.ObservedGeneration = 1
			}
			var last *metav1.Time
			if tt.last != "" {
				last = seconds(at(t, tt.last))
			}
			if tt.recorded != "" {
				report.Status.NextScheduleTime = seconds(at(t, tt.recorded))
			}
			got := nextSlot(tableOf(t, tt.schedule, tt.zone), report, last, at(t, tt.now))
			if want := at(t, tt.want); !got.Equal(want) {
				t.Errorf("next is %s, want %s", got, want)
			}
		})
	}
}

func TestExpectedBy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		schedule, since, done, want string
	}{
		"never run":             {"0 * * * *", "2026-03-10 10:30:00", "", "2026-03-10 11:26:00"},
		"the last is over":      {"0 * * * *", "2026-03-01 00:00:00", "2026-03-10 10:00:00", "2026-03-10 11:26:00"},
		"one was left out":      {"0 * * * *", "2026-03-01 00:00:00", "2026-03-10 07:00:00", "2026-03-10 08:26:00"}, // and is overdue
		"the schedule is new":   {"0 * * * *", "2026-03-10 10:30:00", "2026-03-03 00:00:00", "2026-03-10 11:26:00"},
		"every":                 {"@every 2h", "2026-03-01 00:00:00", "2026-03-10 10:00:00", "2026-03-10 12:26:00"},
		"every, never run":      {"@every 2h", "2026-03-10 10:00:00", "", "2026-03-10 12:26:00"},
		"every, suspended once": {"@every 2h", "2026-03-10 13:00:00", "2026-03-10 10:00:00", "2026-03-10 14:26:00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := expectedBy(tableOf(t, tt.schedule, "Etc/UTC"), at(t, tt.since), at(t, tt.done))
			if want := at(t, tt.want); !got.Equal(want) {
				t.Errorf("expected by %s, want %s", got, want)
			}
		})
	}
	late := tableOf(t, "0 * * * *", "Etc/UTC")
	late.deadline = lateStart
	if got, want := expectedBy(late, at(t, "2026-03-10 10:30:00"), time.Time{}), at(t, "2026-03-10 12:16:00"); !got.Equal(want) {
		t.Errorf("with an hour to begin: expected by %s, want %s", got, want)
	}
}

func TestTimetableOf(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-01 00:00:00")
	for name, cronJob := range map[string]*batchv1.CronJob{
		"none":      nil,
		"suspended": {Spec: batchv1.CronJobSpec{Schedule: "0 * * * *", Suspend: new(true)}},
		"broken":    {Spec: batchv1.CronJobSpec{Schedule: "at dawn"}},
	} {
		if _, ok := timetableOf(cronJob, now); ok {
			t.Errorf("%s: it makes reports", name)
		}
	}
}

func TestSupersedes(t *testing.T) {
	t.Parallel()
	run := func(name, over string) *finished {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}}
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: "True", LastTransitionTime: *seconds(at(t, over))}}
		return overOrFail(t, job)
	}
	last := func(job, completed string) *v1alpha1.Run {
		return &v1alpha1.Run{Job: job, CompletedAt: seconds(at(t, completed))}
	}
	const noon, one = "x-report-29552400", "x-report-29552460" // 12:00 and 13:00 on 2026-03-10
	tests := map[string]struct {
		run  *finished
		last *v1alpha1.Run
		want bool
	}{
		"the first":                {run(noon, "2026-03-10 12:01:00"), nil, true},
		"the next":                 {run(one, "2026-03-10 13:01:00"), last(noon, "2026-03-10 12:01:00"), true},
		"the same":                 {run(noon, "2026-03-10 12:01:02"), last(noon, "2026-03-10 12:01:00"), false},
		"an older one, over later": {run(noon, "2026-03-10 14:00:00"), last(one, "2026-03-10 13:01:00"), false},
		"by hand, later":           {run("by-hand", "2026-03-10 14:00:00"), last(one, "2026-03-10 13:01:00"), true},
		"by hand, earlier":         {run("by-hand", "2026-03-10 12:30:00"), last(one, "2026-03-10 13:01:00"), false},
		"after one by hand":        {run(one, "2026-03-10 13:01:00"), last("by-hand", "2026-03-10 12:30:00"), true},
		"asked for, the same slot": {run("x-report-now-29552460", "2026-03-10 15:00:00"), last(one, "2026-03-10 13:01:00"), true},
	}
	for name, tt := range tests {
		if got := tt.run.supersedes(tt.last); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if over(&batchv1.Job{}) != nil {
		t.Error("a Job that runs is over")
	}
}

func overOrFail(t *testing.T, job *batchv1.Job) *finished {
	t.Helper()
	run := over(job)
	if run == nil {
		t.Fatalf("%s is not over", job.Name)
	}
	return run
}

func TestWriteCache(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-10 12:00:00")
	version := func(v string) client.Object {
		return &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "x", ResourceVersion: v}}
	}
	key := keyOf(version(""))
	m := newMemory()
	if m.behind(key, nil, now) {
		t.Error("behind a write that there was not")
	}
	m.wrote(key, version("10"), now)
	for name, seen := range map[string]client.Object{"nothing": nil, "what was before": version("9")} {
		if !m.behind(key, seen, now) {
			t.Errorf("not behind a write that is not seen: %s is", name)
		}
	}
	if m.behind(key, version("10"), now) {
		t.Error("behind what was written")
	}
	if m.behind(key, nil, now) {
		t.Error("behind a write that was seen: the object was deleted since")
	}
	for name, later := range map[string]time.Duration{"long ago": time.Minute, "by a clock set back": -time.Minute} {
		m.wrote(key, version("10"), now)
		if m.behind(key, nil, now.Add(later)) {
			t.Errorf("behind a write of %s", name)
		}
	}
	m.wrote(key, version("10"), now)
	m.wrote(objectKey{name: "y"}, version("11"), now.Add(time.Hour))
	if len(m.writes) != 1 {
		t.Errorf("%d writes are remembered, want 1", len(m.writes))
	}
}

func TestWriteCacheIsPerReport(t *testing.T) {
	t.Parallel()
	m := newMemory()
	report := func(uid types.UID) *v1alpha1.MonitoringReport {
		return &v1alpha1.MonitoringReport{ObjectMeta: metav1.ObjectMeta{Name: "x", UID: uid}}
	}
	first := m.of(report("1"))
	if m.of(report("1")) != first {
		t.Error("it was forgotten")
	}
	if m.of(report("2")) == first {
		t.Error("one report is taken for another")
	}
	m.forget(types.NamespacedName{Name: "x"})
	if len(m.reports) != 0 {
		t.Error("what is gone is remembered")
	}
}

func TestAsked(t *testing.T) {
	t.Parallel()
	report := func(change func(*v1alpha1.MonitoringReport)) *v1alpha1.MonitoringReport {
		mr := &v1alpha1.MonitoringReport{ObjectMeta: metav1.ObjectMeta{UID: "1", Generation: 1, ResourceVersion: "1"}}
		change(mr)
		return mr
	}
	for name, tt := range map[string]struct {
		change func(*v1alpha1.MonitoringReport)
		want   bool
	}{
		"status":  {func(mr *v1alpha1.MonitoringReport) { mr.ResourceVersion = "2" }, false},
		"resync":  {func(*v1alpha1.MonitoringReport) {}, true},
		"spec":    {func(mr *v1alpha1.MonitoringReport) { mr.ResourceVersion, mr.Generation = "2", 2 }, true},
		"another": {func(mr *v1alpha1.MonitoringReport) { mr.ResourceVersion, mr.UID = "2", "2" }, true},
		"a run": {func(mr *v1alpha1.MonitoringReport) {
			mr.ResourceVersion, mr.Annotations = "2", map[string]string{v1alpha1.AnnotationRunRequestedAt: "x"}
		}, true},
	} {
		got := asked(event.UpdateEvent{ObjectOld: report(func(*v1alpha1.MonitoringReport) {}), ObjectNew: report(tt.change)})
		if got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
