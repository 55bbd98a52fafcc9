package sheaf_test

import (
	"context"
	"encoding/json"
	"expvar"
	"fmt"
	"io"

	"github.com/sheaf-go/sheaf"
	"github.com/sheaf-go/sheaf/backend"
)

// clicks counts the clicks of each page.
func clicks() sheaf.App[string, string, int, int] {
	return sheaf.App[string, string, int, int]{
		Name:   "clicks",
		KeyOf:  func(page string) string { return page },
		Update: func(_ *sheaf.Turn, n *int, _ string) error { *n++; return nil },
		Fold:   func(all *int, _ string, n *int) { *all += *n },
		Merge:  func(into *int, from int) { *into += from },
	}
}

// A program pushes events through a producer and asks for the state of a key.
func ExampleOpen() {
	ctx := context.Background()
	in, err := sheaf.Open(ctx, sheaf.Config{State: backend.InProcess()}, clicks())
	must(err)
	web, err := in.Producer(ctx, "web")
	must(err)
	for _, page := range []string{"home", "shop", "home"} {
		_, err := web.Send(ctx, page)
		must(err)
	}
	must(web.Flush(ctx)) // everything sent before is sealed

	n, found, err := in.Get(ctx, "home")
	fmt.Println(n, found, err)
	must(in.Close(ctx))
	// Output: 2 true <nil>
}

// logFile is a source: it can be read again from any offset.
type logFile []string

func (f logFile) Open(_ context.Context, offset uint64) (sheaf.Reader[string], error) {
	return &logReader{f[offset:]}, nil
}

type logReader struct{ left []string }

func (r *logReader) Read(_ context.Context, into []string) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n := copy(into, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *logReader) Close() error { return nil }

// A source is read from where the sealed epochs end, so that each of its events counts once, whatever crashes.
func ExampleInstance_Attach() {
	ctx := context.Background()
	sink := sheaf.SinkFunc[int](func(_ context.Context, r sheaf.Result[int]) error {
		fmt.Println(r.Value, "clicks in", r.Cuts["access.log"], "lines")
		return nil
	})
	in, err := sheaf.Open(ctx, sheaf.Config{}, clicks(), sink)
	must(err)
	done, err := in.Attach(ctx, "access.log", logFile{"home", "shop", "home", "help"})
	must(err)
	<-done // the end of the source is sealed
	must(in.Close(ctx))
	// Output: 4 clicks in 4 lines
}

// Whatever collects metrics asks Status: here expvar, which shows it at /debug/vars of the program's web server. What
// grows and what goes up and down is said at each field.
func ExampleInstance_Status() {
	ctx := context.Background()
	in, err := sheaf.Open(ctx, sheaf.Config{}, clicks())
	must(err)
	expvar.Publish("clicks", expvar.Func(func() any { return in.Status() }))

	web, err := in.Producer(ctx, "web")
	must(err)
	_, err = web.Send(ctx, "home")
	must(err)
	must(web.Flush(ctx))
	must(in.Close(ctx))

	var shown sheaf.Status // the same, read back from the text that expvar shows
	_ = json.Unmarshal([]byte(expvar.Get("clicks").String()), &shown)
	fmt.Println("sealed:", shown.Epoch, "events:", shown.Counts.Applied, "segments and records written:", shown.Requests.Creates.Asked > 2)
	// Output: sealed: 1 events: 1 segments and records written: true
}
