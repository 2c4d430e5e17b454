package agent

// IsPermanent reports whether an error was made by Permanent.
var IsPermanent = isPermanent
