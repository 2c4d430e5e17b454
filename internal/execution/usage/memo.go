package usage

import "github.com/watchbill/watchbill/internal/memo"

// maxName is how many bytes of a name are looked at.
const maxName = memo.MaxName

var (
	attributes = memo.New(classifyAttribute)
	members    = memo.New(classifyMember)
)

// Attribute returns what the name of an attribute says.
func Attribute(name string) Name { return attributes.Get(name) }

// member returns what the path of a member of an object says.
func member(path []byte) Name { return members.GetBytes(path) }
