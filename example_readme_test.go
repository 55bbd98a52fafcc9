package sheaf_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sheaf-go/sheaf"
)

type payment struct {
	Account string
	Cents   int64
}

func Example_embedded() {
	ctx := context.Background()
	accounts := sheaf.App[string, payment, int64, int64]{
		Name:   "accounts",
		KeyOf:  func(p payment) string { return p.Account },
		Update: func(_ *sheaf.Turn, balance *int64, p payment) error { *balance += p.Cents; return nil },
		Fold:   func(total *int64, _ string, balance *int64) { *total += *balance },
		Merge:  func(total *int64, part int64) { *total += part },
	}

	// The zero Config keeps state in memory. With State: backend.Local("/var/lib/accounts") it survives kill -9.
	var total int64
	sink := sheaf.SinkFunc[int64](func(_ context.Context, r sheaf.Result[int64]) error { total = r.Value; return nil })
	in, err := sheaf.Open(ctx, sheaf.Config{}, accounts, sink)
	must(err)

	till, err := in.Producer(ctx, "till")
	must(err)
	for _, p := range []payment{{"ann", 500}, {"bob", 250}, {"ann", -100}} {
		_, err := till.Send(ctx, p)
		must(err)
	}
	must(till.Flush(ctx)) // sealed: no crash takes back what was sent

	ann, _, err := in.Get(ctx, "ann")
	must(err)
	must(in.Close(ctx)) // emits what is sealed, and ends
	fmt.Println("ann has", ann, "of", total)
	// Output: ann has 400 of 650
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
