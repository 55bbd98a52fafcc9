package backend

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// errTransient is what an error is if the same request may yet succeed.
var errTransient = errors.New("it may pass")

// serverError is what a cloud's library says of a request, in words. Its own errors hold the request itself, with
// headers and tokens: they do not leave the store.
type serverError struct {
	text   string
	cause  error // why the request's context ended; nil: it did not
	passes bool  // it is errTransient
}

func (e *serverError) Error() string {
	if e.cause == nil {
		return e.text
	}
	return fmt.Sprintf("%v (%s)", e.cause, e.text)
}

// Unwrap returns why the request ended.
func (e *serverError) Unwrap() error { return e.cause }

// Is reports whether the error is errTransient.
func (e *serverError) Is(target error) bool { return e.passes && target == errTransient }

// hideTokens puts a text on one line and takes out of the URLs in it what may let somebody in: users and queries.
func hideTokens(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = regexp.MustCompile(`(://)[^\s"'/?@]*@`).ReplaceAllString(text, "${1}"+redacted+"@")
	return regexp.MustCompile(`(://[^\s"'?]*)\?[^\s"']*`).ReplaceAllString(text, "${1}?"+redacted)
}
