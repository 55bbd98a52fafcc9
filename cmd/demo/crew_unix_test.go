//go:build unix

package main_test

import "syscall"

// quit makes a process say where its goroutines are, and ends it.
func quit(p *process) {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
}
