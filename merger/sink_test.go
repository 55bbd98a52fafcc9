package merger_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/sheaf-go/sheaf/merger"
)

func newBucket(t *testing.T) *blob.Bucket {
	t.Helper()
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { b.Close() })
	return b
}

// objects are the bucket's bytes by key.
func objects(t *testing.T, b *blob.Bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	for list := b.List(nil); ; {
		o, err := list.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("list objects: %v", err)
		}
		data, err := b.ReadAll(t.Context(), o.Key)
		if err != nil {
			t.Fatalf("read object %s: %v", o.Key, err)
		}
		all[o.Key] = string(data)
	}
}

func wantObject(t *testing.T, b *blob.Bucket, key, data string) {
	t.Helper()
	got := objects(t, b)
	if stands, ok := got[key]; !ok || stands != data || len(got) != 1 {
		t.Fatalf("got objects %q, want only %q with %q", got, key, data)
	}
}

func TestObjectSinkCreatesOneObject(t *testing.T) {
	b := newBucket(t)
	s := merger.NewObjectSink[int](b, nil, nil)
	for _, offer := range []string{"first", "repeated"} {
		if err := s.Emit(t.Context(), merger.Result[int]{Epoch: 7, Value: 1, Encoded: []byte("one")}); err != nil {
			t.Fatalf("offered epoch 7, %s: %v", offer, err)
		}
		wantObject(t, b, "epoch-00000000000000000007", "one")
	}
}

func TestObjectSinkWritesTheCallersKeyAndBytes(t *testing.T) {
	b := newBucket(t)
	key := func(r merger.Result[string]) string { return "days/" + r.Value }
	encode := func(r merger.Result[string]) ([]byte, error) { return []byte("<" + r.Value + ">"), nil }
	s := merger.NewObjectSink(b, key, encode)
	if err := s.Emit(t.Context(), merger.Result[string]{Epoch: 7, Value: "monday", Encoded: []byte("not this")}); err != nil {
		t.Fatal(err)
	}
	wantObject(t, b, "days/monday", "<monday>")
}

func TestObjectSinkNeverReplacesOtherBytes(t *testing.T) {
	for _, stands := range []string{"two", "", "one and more"} {
		b := newBucket(t)
		if err := b.WriteAll(t.Context(), "epoch-00000000000000000007", []byte(stands), nil); err != nil {
			t.Fatal(err)
		}
		err := merger.NewObjectSink[int](b, nil, nil).Emit(t.Context(), merger.Result[int]{Epoch: 7, Encoded: []byte("one")})
		if !errors.Is(err, merger.ErrConflict) || !strings.Contains(err.Error(), "epoch-00000000000000000007") {
			t.Errorf("write %q where %q stands: got error %v, want one that is ErrConflict and names the object", "one", stands, err)
		}
		wantObject(t, b, "epoch-00000000000000000007", stands)
	}
}

func TestObjectSinkWritesNothingThatDoesNotEncode(t *testing.T) {
	b, refused := newBucket(t), errors.New("refused")
	s := merger.NewObjectSink(b, nil, func(merger.Result[int]) ([]byte, error) { return []byte("half"), refused })
	err := s.Emit(t.Context(), merger.Result[int]{Epoch: 7})
	if !errors.Is(err, refused) || !strings.Contains(err.Error(), "epoch 7") {
		t.Errorf("encode fails: got error %v, want %v of epoch 7", err, refused)
	}
	if got := objects(t, b); len(got) != 0 {
		t.Errorf("encode fails: got objects %q, want none", got)
	}
}

func TestObjectSinkReportsWhatItCouldNotWrite(t *testing.T) {
	b := newBucket(t)
	ctx, end := context.WithCancel(t.Context())
	end()
	err := merger.NewObjectSink[int](b, nil, nil).Emit(ctx, merger.Result[int]{Epoch: 7, Encoded: []byte("one")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("write under a context that ended: got error %v, want %v", err, context.Canceled)
	}
	if got := objects(t, b); len(got) != 0 {
		t.Errorf("write under a context that ended: got objects %q, want none", got)
	}
}

func TestObjectSinkReportsAStoreThatIsGone(t *testing.T) {
	b := memblob.OpenBucket(nil)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	err := merger.NewObjectSink[int](b, nil, nil).Emit(t.Context(), merger.Result[int]{Epoch: 7})
	if err == nil || errors.Is(err, merger.ErrConflict) {
		t.Errorf("write to a closed bucket: got error %v, want one that is not ErrConflict", err)
	}
}

func TestSinkFuncIsASink(t *testing.T) {
	type key struct{}
	var took []string
	failed := errors.New("failed")
	var s merger.Sink[string] = merger.SinkFunc[string](func(ctx context.Context, r merger.Result[string]) error {
		took = append(took, ctx.Value(key{}).(string), r.Value)
		return failed
	})
	err := s.Emit(context.WithValue(t.Context(), key{}, "context"), merger.Result[string]{Value: "value"})
	if !errors.Is(err, failed) || strings.Join(took, " ") != "context value" {
		t.Errorf("got error %v and arguments %q, want %v and the context and value that were given", err, took, failed)
	}
}
