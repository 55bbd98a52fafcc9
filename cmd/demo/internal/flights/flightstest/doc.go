// Package flightstest holds what tests of the demo compare it with: a plain program's answers, and a checker of the files that a run emits.
//
// It shares no code with what it checks but the types: it reads the input with the standard library's CSV reader, in one goroutine,
// and keeps the aggregates in maps of its own.
package flightstest
