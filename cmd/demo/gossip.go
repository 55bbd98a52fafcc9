package main

// Members of an elastic cluster find each other by gossip.
import _ "github.com/sheaf-go/sheaf/remote/gossip"
