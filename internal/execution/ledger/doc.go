// Package ledger takes executions in: it prepares them, joins what many callers bring into one transaction, and answers
// each once that is committed. Where they come from and how they are stored is for others.
package ledger
