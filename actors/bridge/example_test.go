package bridge_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/actors/bridge"
)

// payment is an event: an amount that an account is paid.
type payment struct {
	Account string
	Cents   int64
}

// Actors of a program send payments to a bridge, ask it for a balance, and one of them is told the total of every
// sealed epoch.
func Example() {
	ctx := context.Background()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	reporter := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if r, ok := c.Message().(sheaf.Result[int64]); ok {
			fmt.Println("in all:", r.Value)
			c.Respond(bridge.Taken{Epoch: r.Epoch})
		}
	}))
	bank := sheaf.App[string, payment, int64, int64]{
		Name:   "bank",
		KeyOf:  func(p payment) string { return p.Account },
		Update: func(_ *sheaf.Turn, balance *int64, p payment) error { *balance += p.Cents; return nil },
		Fold:   func(total *int64, _ string, balance *int64) { *total += *balance },
		Merge:  func(into *int64, from int64) { *into += from },
	}
	in, err := sheaf.Open(ctx, sheaf.Config{Epoch: time.Hour}, bank, bridge.Sink[int64](system, reporter))
	if err != nil {
		log.Fatal(err)
	}
	payments, err := in.Producer(ctx, "payments")
	if err != nil {
		log.Fatal(err)
	}
	accounts := system.Root.Spawn(bridge.New(in, payments, bridge.Config{}).Props())

	system.Root.Send(accounts, bridge.Update[payment]{Event: payment{"alice", 700}})
	answer, err := system.Root.RequestFuture(accounts, bridge.Update[payment]{Event: payment{"bob", 300}}, time.Minute).Result()
	fmt.Printf("%+v %v\n", answer, err)
	if err := in.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	answer, err = system.Root.RequestFuture(accounts, bridge.Get[string]{Key: "alice"}, time.Minute).Result()
	balance := answer.(bridge.State[string, int64])
	fmt.Println("alice:", balance.Value, balance.Found, err)

	if err := system.Root.StopFuture(accounts).Wait(); err != nil {
		log.Fatal(err)
	}
	if err := in.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Unordered output:
	// {Position:2} <nil>
	// in all: 1000
	// alice: 700 true <nil>
}
