//go:build !unix

package main_test

func quit(p *process) { _ = p.cmd.Process.Kill() }
