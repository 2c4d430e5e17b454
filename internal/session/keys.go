package session

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var errNoKey = errors.New("the session key of the day was added and is missing")

func (s *Sessions) key(day int32) *Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[day]
}

// signingKey returns the key of a day. The first replica that needs it adds it.
func (s *Sessions) signingKey(ctx context.Context, day int32) (*Key, error) {
	if key := s.key(day); key != nil {
		return key, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s.reading.Lock()
	defer s.reading.Unlock()
	if key := s.key(day); key != nil {
		return key, nil
	}
	added := Key{Day: day}
	if _, err := io.ReadFull(s.opts.Random, added.Secret[:]); err != nil {
		return nil, fmt.Errorf("draw a session key: %w", err)
	}
	if err := s.opts.Store.AddKey(ctx, added); err != nil {
		return nil, err
	}
	if err := s.readKeys(ctx); err != nil {
		return nil, err
	}
	if key := s.key(day); key != nil {
		return key, nil
	}
	return nil, errNoKey
}

// readKeys reads the keys. The caller must hold s.reading.
func (s *Sessions) readKeys(ctx context.Context) error {
	now := s.opts.Now()
	keys, err := s.opts.Store.Keys(ctx)
	if err != nil {
		return err
	}
	read := make(map[int32]*Key, len(keys))
	for _, key := range keys {
		read[key.Day] = &key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.keysAt = read, now
	return nil
}
