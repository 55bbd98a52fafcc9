//go:build !unix

package main

// canStop says whether processes can be stopped and go on.
const canStop = false

func (m *child) sleep() {}

func (m *child) wake() {}
