package sheaftest

import (
	"fmt"

	"github.com/sheaf-go/sheaf"
)

// subject is the app under test, with its codecs filled in. Its methods turn panics of the app into errors.
type subject[K sheaf.Key, E, S, R any] struct {
	sheaf.App[K, E, S, R]
}

func subjectOf[K sheaf.Key, E, S, R any](app sheaf.App[K, E, S, R]) subject[K, E, S, R] {
	if app.StateCodec == nil {
		app.StateCodec = sheaf.CBOR[S]()
	}
	if app.ResultCodec == nil {
		app.ResultCodec = sheaf.CBOR[R]()
	}
	return subject[K, E, S, R]{app}
}

func (a subject[K, E, S, R]) encode(s *S) (string, error) { return encode("state", a.StateCodec, s) }

func (a subject[K, E, S, R]) decode(b string) (*S, error) { return decode("state", a.StateCodec, b) }

func (a subject[K, E, S, R]) encodeResult(r *R) (string, error) {
	return encode("result", a.ResultCodec, r)
}

func (a subject[K, E, S, R]) decodeResult(b string) (*R, error) {
	return decode("result", a.ResultCodec, b)
}

func encode[T any](what string, c sheaf.Codec[T], v *T) (string, error) {
	var b []byte
	err := guarded("the encoder of "+what+"s", func() (err error) {
		b, err = c.Append(nil, v)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("encode the %s %+v: %w", what, *v, err)
	}
	return string(b), nil
}

func decode[T any](what string, c sheaf.Codec[T], b string) (*T, error) {
	v := new(T)
	err := guarded("the decoder of "+what+"s", func() error { return c.Decode([]byte(b), v) })
	if err != nil {
		return nil, fmt.Errorf("decode the %s %x: %w", what, b, err)
	}
	return v, nil
}

// guarded runs a function of the app; a panic is an error.
func guarded(what string, f func() error) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("%s panicked: %v", what, x)
		}
	}()
	return f()
}
