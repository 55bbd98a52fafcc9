package gossip

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"
)

const (
	// keysInterval is how often the key file is read.
	keysInterval = time.Second
	// maxKeys bounds the keys of a file: each is tried on what none before it decrypts.
	maxKeys = 8
)

// NewKey returns a new key, as a line of a key file.
func NewKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return base64.StdEncoding.EncodeToString(key)
}

// keys are the keys of a file.
type keys struct {
	path string
	text []byte // of the file as it was tried last; nil: never
	ring *memberlist.Keyring
}

// openKeys reads the keys of a file; nil without one.
func openKeys(path string) (*keys, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // none is meant
	}
	ring, err := memberlist.NewKeyring(nil, nil)
	if err != nil {
		return nil, err
	}
	k := &keys{path: path, ring: ring}
	_, err = k.load()
	return k, err
}

// load reads the file again, and reports whether it is another than before. While it cannot be used the former keys go
// on, and an error is returned once.
func (k *keys) load() (changed bool, err error) {
	text, err := os.ReadFile(k.path)
	if err != nil {
		text = []byte(err.Error()) // which is no key
	}
	if k.text != nil && bytes.Equal(text, k.text) {
		return false, nil
	}
	k.text = text
	if err != nil {
		return true, fmt.Errorf("read the gossip keys: %w", err)
	}
	parsed, err := parseKeys(string(text))
	if err != nil {
		return true, fmt.Errorf("read the gossip keys of %s: %w", k.path, err)
	}
	return true, use(k.ring, parsed)
}

// parseKeys returns the keys of a file. Its errors show none of it.
func parseKeys(text string) ([][]byte, error) {
	var all [][]byte
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, err := hex.DecodeString(line)
		if err != nil {
			key, err = base64.StdEncoding.DecodeString(line)
		}
		if err != nil || memberlist.ValidateKey(key) != nil {
			return nil, fmt.Errorf("line %d is no key: want 16, 24 or 32 bytes in base64 or hex", number)
		}
		all = append(all, key)
	}
	if len(all) == 0 || len(all) > maxKeys {
		return nil, fmt.Errorf("%d keys, want 1 to %d", len(all), maxKeys)
	}
	return all, nil
}

// use makes these the keys of a ring, the first of them the one that encrypts.
func use(ring *memberlist.Keyring, keys [][]byte) error {
	for _, key := range keys {
		if err := ring.AddKey(key); err != nil {
			return err
		}
	}
	if err := ring.UseKey(keys[0]); err != nil {
		return err
	}
	for _, key := range ring.GetKeys() {
		if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			continue
		}
		if err := remove(ring, key); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a key from a ring. The ring moves those behind it in place, under the eyes of those who read them; so they
// are put before it first, and nothing moves.
func remove(ring *memberlist.Keyring, key []byte) error {
	all := ring.GetKeys()
	behind := all[slices.IndexFunc(all, func(k []byte) bool { return bytes.Equal(k, key) })+1:]
	if len(behind) > 0 {
		for _, k := range append(slices.Clone(behind), all[0]) {
			if err := ring.UseKey(k); err != nil {
				return err
			}
		}
	}
	return ring.RemoveKey(key)
}

// watch reads the key file again and again.
func (g *Gossip) watch(ctx context.Context) {
	if g.keys == nil {
		return
	}
	ticker := time.NewTicker(keysInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch changed, err := g.keys.load(); {
		case err != nil:
			g.log.Warn("the former gossip keys stay in use", zap.Error(err))
		case changed:
			g.log.Info("gossip keys are read anew", zap.Int("keys", len(g.keys.ring.GetKeys())))
		}
	}
}
