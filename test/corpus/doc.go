// Package corpus sends recorded exports of real instrumentations through the product, and compares what it stored with
// what really happened.
package corpus
