//go:build unix && !linux

package main

import (
	"os/exec"
	"syscall"
)

// bindChild keeps the terminal's signals from a process: they are passed on.
func bindChild(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
