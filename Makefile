# make check is the whole gate. Its steps stand in .ci/check, so that a machine without make can run it too.
STEPS := format tidy vet lint test bench

.PHONY: check $(STEPS) fmt

check:
	@.ci/check

$(STEPS):
	@.ci/check $@

fmt: bin/golangci-lint
	bin/golangci-lint fmt

bin/golangci-lint: tools/go.mod tools/go.sum
	@.ci/check tools
