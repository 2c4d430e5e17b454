package gateway

import "io"

// ReadEvents reads a stream to its end: what events it has, and how it ends.
func ReadEvents(r io.Reader) (events [][2]string, err error) {
	reader := newEventReader(r)
	for {
		event, err := reader.next()
		if err != nil {
			return events, err
		}
		events = append(events, [2]string{event.name, event.data})
	}
}

// Find is the name of the agent that a type gets; empty: none.
func (a *Agents) Find(promptType string) string {
	if one := a.find(promptType); one != nil {
		return one.name
	}
	return ""
}

// What tests need to know.
var (
	ErrLongLine   = errLongLine
	ErrLargeEvent = errLargeEvent
	Matches       = matches
)

// Bounds of event streams and files.
const (
	MaxLine       = maxLine
	MaxAgentsFile = maxAgentsFile
	MaxFaults     = maxFaults
	WatchEvery    = watchEvery
)
