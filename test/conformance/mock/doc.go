// Package mock answers as the APIs of model providers do, with counts of tokens that are known, and keeps what really
// happened: how many calls came, what they used and what they cost.
package mock
