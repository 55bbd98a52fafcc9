package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/cmd/demo/internal/flights"
)

// settings are what a state was made with, and all further runs on it must say too. They stand beside what Sheaf keeps.
type settings struct {
	Job         string `json:"job"`
	Sources     int    `json:"sources"`
	Input       string `json:"input"`       // its name, for people
	Fingerprint string `json:"fingerprint"` // of the input's bytes
}

// settingsKey is created once, before the first row is read.
const settingsKey = "demo.json"

// settingsObject is the key as the whole store has it.
const settingsObject = "user/" + settingsKey

// settingsError says that a run contradicts what its state was made with.
type settingsError struct {
	Key   string // the flag
	State string
	Run   string
}

func (e *settingsError) Error() string {
	return fmt.Sprintf("%s: the state was made with %s, this run says %s: say the same, or take another --state", e.Key, e.State, e.Run)
}

func newSettings(jobName string, sources int, in *flights.Input) (settings, error) {
	hash, err := in.Fingerprint()
	return settings{Job: jobName, Sources: sources, Input: in.Name(), Fingerprint: fmt.Sprintf("%016x", hash)}, err
}

// input names the input for people.
func (s settings) input() string { return fmt.Sprintf("%s (fingerprint %s)", s.Input, s.Fingerprint) }

// refuse returns a settingsError for each difference between the state and a run.
func (s settings) refuse(run settings) error {
	var errs []error
	check := func(same bool, key, state, run string) {
		if !same {
			errs = append(errs, &settingsError{key, state, run})
		}
	}
	check(s.Job == run.Job, "--job", s.Job, run.Job)
	check(s.Sources == run.Sources, "--sources", fmt.Sprint(s.Sources), fmt.Sprint(run.Sources))
	check(s.Fingerprint == run.Fingerprint, "--input", s.input(), run.input())
	return errors.Join(errs...)
}

// readSettings returns the settings of a state; nil if it has none.
func readSettings(ctx context.Context, bucket *blob.Bucket) (*settings, error) {
	text, err := bucket.ReadAll(ctx, settingsKey)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", settingsObject, err)
	}
	var s settings
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, &backend.CorruptError{Object: settingsObject, Reason: err.Error()}
	}
	return &s, nil
}

// settingsOf returns the settings of a state that is not open; nil if there is none.
func settingsOf(ctx context.Context, config backend.Config) (*settings, error) {
	store, err := config.OpenReader(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	was, err := readSettings(ctx, store.Bucket())
	return was, errors.Join(err, store.Close())
}

// check refuses a run that contradicts its state, before anything is opened. It is fine where there is no state.
func (s settings) check(ctx context.Context, config backend.Config) error {
	was, err := settingsOf(ctx, config)
	if err != nil || was == nil {
		return err
	}
	return was.refuse(s)
}

// keep leaves the settings in a state that holds no rows, and compares them with those of one that has any. Of several
// members that do so at once one creates them; the others compare theirs.
func (s settings) keep(ctx context.Context, bucket *blob.Bucket, rows bool) error {
	was, err := readSettings(ctx, bucket)
	switch {
	case err != nil:
		return err
	case was != nil:
		return was.refuse(s)
	case rows:
		return &backend.MissingError{Object: settingsObject, NamedBy: "every state of the demo"}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	once := &blob.WriterOptions{IfNotExist: true, ContentType: "application/json"}
	err = bucket.WriteAll(ctx, settingsKey, append(text, '\n'), once)
	if code := gcerrors.Code(err); code == gcerrors.FailedPrecondition || code == gcerrors.AlreadyExists {
		if was, err = readSettings(ctx, bucket); err == nil && was != nil {
			return was.refuse(s)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", settingsObject, err)
	}
	return nil
}
