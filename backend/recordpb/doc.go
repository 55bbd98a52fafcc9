// Package recordpb is the generated code of record.proto, the body of a ledger record. Only package backend uses it.
package recordpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative record.proto
