// Package merger turns the partials of vnodes into one result per sealed epoch.
//
//	checkpointers ── partials ──▶ merger ── fold, ascending by vnode ──▶ sinks
//	coordinator ──── sealed ─────▶   │ (a partial that is missing is read from the epoch's segments)
//
// Promises: a result is given to the sinks only after its epoch is sealed, in the order of epochs, one at a time, and
// with the same bytes however often (I6). [Rules] decides; [Actor] is the shell; [Sink] is where results go.
package merger
