package agent

// IsPermanent shows what Permanent hides.
var IsPermanent = isPermanent
