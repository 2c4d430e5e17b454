package execution

import "time"

// UserSort is the order of a list of users.
type UserSort string

// The orders of users. All but the last begin with the highest.
const (
	UsersByCost     UserSort = "cost"
	UsersByRequests UserSort = "requests"
	UsersByTokens   UserSort = "tokens"
	UsersByID       UserSort = "user"
)

// UserQuery asks for a page of the users of the last days.
type UserQuery struct {
	Days     int
	TimeZone string
	Sort     UserSort
	After    UserPosition
	Limit    int
}

// UserPosition is the last user of a page. The zero value is before the first.
type UserPosition struct {
	UserID string
	Value  int64 // by which users are sorted
}

// User is a user's spend in a window, and when the user was seen at all.
type User struct {
	ID                  string
	FirstSeen, LastSeen time.Time // the beginnings of the narrowest buckets that are kept
	Spend
}

// Users is a page of users.
type Users struct {
	Window Window
	Active int64 // users of the window
	Users  []User
	Next   UserPosition // zero on the last page
}

// AdoptedAgent is the use of an agent in a week.
type AdoptedAgent struct {
	Agent string
	New   bool // nothing earlier is stored of it
	Figures
}

// AdoptionWeek is the use of all agents in a week.
type AdoptionWeek struct {
	Window
	ActiveUsers, NewUsers   int64
	ActiveAgents, NewAgents int64          // of all agents, not only of those in Agents
	Agents                  []AdoptedAgent // the most used first
}
