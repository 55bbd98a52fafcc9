// Package remote says who is there and how to reach them. A [Membership] tells an instance who is there now: one that the
// program hands in, or that of package gossip below, which programs link by importing it. [Static] is the list of a static
// cluster, which needs none. A [Transport] carries frames between members; package transport below implements it over
// gRPC, and package certs makes certificates to try it with.
//
// Membership decides when something is tried, never whether it is right (I7): what is right stands in the ledger.
package remote
