package gateway

import "io"

// ReadEvents reads a stream to its end and returns its events and the final error.
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

// Find returns the name of the agent for a type, or "".
func (a *Agents) Find(promptType string) string {
	if one := a.find(promptType); one != nil {
		return one.name
	}
	return ""
}

// Internals for tests.
var (
	ErrLongLine   = errLongLine
	ErrLargeEvent = errLargeEvent
	Matches       = matches
)

// Limits of event streams and files.
const (
	MaxLine       = maxLine
	MaxAgentsFile = maxAgentsFile
	MaxFaults     = maxFaults
	WatchEvery    = watchEvery
)
