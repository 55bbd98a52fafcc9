package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// stoppedError says that a signal ended a run before its input.
type stoppedError struct{ signal os.Signal }

func (e *stoppedError) Error() string { return fmt.Sprintf("stopped early: %v", e.signal) }

// code is the exit code that shells know: 128 and the signal's number.
func (e *stoppedError) code() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return 1
}

// untilStopped returns a context that also ends, with a stoppedError, at the first signal to stop. A second one ends the
// process at once, as if nobody listened.
func untilStopped(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			cancel(&stoppedError{s})
		case <-ctx.Done():
		}
		signal.Stop(signals)
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// wasStopped reports whether a signal is why err came to be.
func wasStopped(err error) bool {
	var stopped *stoppedError
	return errors.As(err, &stopped)
}
