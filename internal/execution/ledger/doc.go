// Package ledger stores executions: it prepares them, combines the batches of many callers into one transaction, and
// returns to each caller once its transaction is committed. Where executions come from and how they are stored is the
// concern of other packages.
package ledger
