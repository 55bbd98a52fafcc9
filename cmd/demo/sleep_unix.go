//go:build unix

package main

import "syscall"

// canStop says whether processes can be stopped and go on.
const canStop = true

// sleep stops the process.
func (m *child) sleep() { m.signal(syscall.SIGSTOP) }

// wake lets a stopped process go on.
func (m *child) wake() { m.signal(syscall.SIGCONT) }
