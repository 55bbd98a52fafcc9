// Package remote says who is there and how to reach them. A [Membership] names the members of a cluster; [Static] is the
// one that a list in the configuration gives, with one member when there is no list. A [Transport] carries frames between
// them; package transport below implements it over gRPC, and package certs makes certificates to try it with.
//
// Membership decides when something is tried, never whether it is right (I7): what is right stands in the ledger.
package remote
