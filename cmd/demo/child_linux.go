package main

import (
	"os/exec"
	"syscall"
)

// bindChild lets a process end with this one, however that ends, and keeps the terminal's signals from it: they are passed
// on.
func bindChild(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
