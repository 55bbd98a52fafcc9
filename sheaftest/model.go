package sheaftest

import (
	"fmt"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/vnode"
)

// model is the plain program that an app stands for: one event after another, a map of states.
type model[K sheaf.Key, E, S, R any] struct {
	subject[K, E, S, R]
	hash     func(K) uint64
	capacity int
	// restart makes every state go through its codec before each update, as after a restart.
	restart bool

	keys   []K // in the order in which they came
	states map[K]*S
	log    []step[K]
}

// step is what an event did.
type step[K sheaf.Key] struct {
	key     K
	state   string // encoded; empty: the key has none
	deleted bool
	refused string // the error, or the panic
}

func (s step[K]) String() string {
	switch {
	case s.refused != "":
		return fmt.Sprintf("key %v: %s, state %x", s.key, s.refused, s.state)
	case s.deleted:
		return fmt.Sprintf("key %v: deleted", s.key)
	}
	return fmt.Sprintf("key %v: state %x", s.key, s.state)
}

func (a subject[K, E, S, R]) model(capacity int) *model[K, E, S, R] {
	return &model[K, E, S, R]{subject: a, hash: vnode.NewKeyOps[K]().Hash, capacity: capacity, states: map[K]*S{}}
}

// apply does what a vnode does with an event. Its error is a broken law.
func (m *model[K, E, S, R]) apply(origin string, position uint64, e E) (err error) {
	k, err := m.keyOf(e)
	if err != nil {
		return err
	}
	old, existed := m.states[k]
	before := ""
	state := new(S)
	if existed {
		if before, err = m.encode(old); err != nil {
			return err
		}
		if state = old; m.restart {
			if state, err = m.decode(before); err != nil {
				return err
			}
		}
	}
	turn := vnode.NewTurn(vnode.Of(m.hash(k), m.capacity), origin, position, existed)
	panicked, said := m.update(turn, state, e)
	switch {
	case panicked:
		return m.reject(k, existed, before, said)
	case said != nil:
		return m.refuse(k, existed, before, state, said)
	case turn.Deleted():
		delete(m.states, k)
		m.log = append(m.log, step[K]{key: k, deleted: true})
		return nil
	}
	if !existed {
		m.keys = append(m.keys, k)
	}
	m.states[k] = state
	after, err := m.encode(state)
	m.log = append(m.log, step[K]{key: k, state: after})
	return err
}

// reject gives the key the state back that it had before an event that panicked.
func (m *model[K, E, S, R]) reject(k K, existed bool, before string, why error) (err error) {
	m.log = append(m.log, step[K]{key: k, state: before, refused: why.Error()})
	if existed {
		m.states[k], err = m.decode(before)
	}
	return err
}

// refuse checks that an update that returned an error left the state as it was.
func (m *model[K, E, S, R]) refuse(k K, existed bool, before string, state *S, why error) error {
	m.log = append(m.log, step[K]{key: k, state: before, refused: why.Error()})
	if !existed {
		return nil
	}
	m.states[k] = state
	after, err := m.encode(state)
	if err == nil && after != before {
		if err := checkCodec("state", m.StateCodec, state); err != nil {
			return err
		}
		return broken("an update that returns an error leaves the state as it was",
			"the update of key %v returned %q and changed the state from %x to %x", k, why, before, after)
	}
	return err
}

func (m *model[K, E, S, R]) keyOf(e E) (k K, err error) {
	err = guarded("KeyOf", func() error {
		k = m.KeyOf(e)
		if again := m.KeyOf(e); again != k {
			return broken("KeyOf depends on the event alone", "two calls with %+v returned %v and %v", e, k, again)
		}
		return nil
	})
	return k, err
}

func (m *model[K, E, S, R]) update(turn *sheaf.Turn, s *S, e E) (panicked bool, err error) {
	defer func() {
		if x := recover(); x != nil {
			panicked, err = true, fmt.Errorf("panicked: %v", x)
		}
	}()
	return false, m.Update(turn, s, e)
}

// live are the keys that have a state, in the order in which they came.
func (m *model[K, E, S, R]) live() []K {
	var out []K
	seen := map[K]bool{}
	for _, k := range m.keys {
		if m.states[k] != nil && !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

// fold is the partial of keys, in that order.
func (m *model[K, E, S, R]) fold(keys []K) (r R, err error) {
	err = guarded("Fold", func() error {
		for _, k := range keys {
			m.Fold(&r, k, m.states[k])
		}
		return nil
	})
	return r, err
}

// result is the encoded result of all keys.
func (m *model[K, E, S, R]) result() (string, error) {
	r, err := m.fold(m.live())
	if err != nil {
		return "", err
	}
	return m.encodeResult(&r)
}

// table is the encoded state of every key.
func (m *model[K, E, S, R]) table() (map[K]string, error) {
	out := map[K]string{}
	for _, k := range m.live() {
		b, err := m.encode(m.states[k])
		if err != nil {
			return nil, err
		}
		out[k] = b
	}
	return out, nil
}
