package usage

import "github.com/watchbill/watchbill/internal/memo"

// maxName is the maximum length in bytes of a name that is classified.
const maxName = memo.MaxName

var (
	attributes = memo.New(classifyAttribute)
	members    = memo.New(classifyMember)
)

// Attribute returns what an attribute's name means.
func Attribute(name string) Name { return attributes.Get(name) }

// member returns what the path of an object's member means.
func member(path []byte) Name { return members.GetBytes(path) }
