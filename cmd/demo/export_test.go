package main

import "io"

// Demo carries out a command line and returns the exit code.
func Demo(args []string, out, notes io.Writer) int { return demo(args, out, notes) }
