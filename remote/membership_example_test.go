package remote_test

import (
	"context"
	"fmt"

	"github.com/sheaf-go/sheaf/remote"
)

// manager is a membership over an external manager: whatever starts the instances knows who they are, and feeds it.
type manager struct {
	lists  <-chan []remote.Member
	cancel context.CancelFunc
	done   chan struct{}
}

var _ remote.Membership = (*manager)(nil)

func (m *manager) Join(ctx context.Context, _ remote.Member, changed func([]remote.Member)) error {
	ctx, m.cancel = context.WithCancel(ctx)
	m.done = make(chan struct{})
	go func() {
		defer close(m.done)
		for {
			select {
			case <-ctx.Done():
				return
			case members := <-m.lists:
				changed(members)
			}
		}
	}()
	return nil
}

func (m *manager) Update(remote.Member) error { return nil } // it is the manager that says who leaves

func (m *manager) Leave(context.Context) error { return m.Close() }

func (m *manager) Close() error {
	if m.cancel != nil {
		m.cancel()
		<-m.done
	}
	return nil
}

// A membership of the program's own is one small type over whatever manages its instances.
func ExampleMembership() {
	lists, heard := make(chan []remote.Member), make(chan string)
	var m remote.Membership = &manager{lists: lists}
	self := remote.Member{Instance: "a", Address: "10.0.0.1:7070"}
	err := m.Join(context.Background(), self, func(members []remote.Member) {
		said := "there are"
		for _, x := range members {
			said += fmt.Sprintf(" %s at %s (leaving: %v)", x.Instance, x.Address, x.Leaving)
		}
		heard <- said
	})
	if err != nil {
		panic(err)
	}
	b := remote.Member{Instance: "b", Address: "10.0.0.2:7070", Zone: "west"}
	lists <- []remote.Member{self, b}
	fmt.Println(<-heard)
	b.Leaving = true
	lists <- []remote.Member{self, b}
	fmt.Println(<-heard)
	fmt.Println(m.Close(), m.Close())
	// Output:
	// there are a at 10.0.0.1:7070 (leaving: false) b at 10.0.0.2:7070 (leaving: false)
	// there are a at 10.0.0.1:7070 (leaving: false) b at 10.0.0.2:7070 (leaving: true)
	// <nil> <nil>
}
