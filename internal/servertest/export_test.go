package servertest

// CheckLoopback is for the tests.
var CheckLoopback = checkLoopback
