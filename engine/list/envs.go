package list

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"kdap/engine/windows"
)

// An Env is an entry of the kind "envs": one environment variable.
type Env struct {
	PID   uint64 `json:"pid"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Envs yields the environments of the processes that keep accepts.
func Envs(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Env, error] {
	return ofProcesses(AllProcesses(ctx, sys), keep, processEnv)
}

func processEnv(p windows.Process, yield func(Env, error) bool) bool {
	pid, err := p.PID()
	if err != nil {
		return true // the listing of processes reports it
	}
	block, err := p.Environment()
	if errors.Is(err, windows.ErrNoPEB) {
		return true
	}
	if err != nil {
		return yield(Env{}, fmt.Errorf("process %d: %w", pid, err))
	}
	for v, err := range block.Variables() {
		if err != nil {
			err = fmt.Errorf("process %d: %w", pid, err)
		}
		if !yield(Env{PID: pid, Name: v.Name, Value: v.Value}, err) {
			return false
		}
	}
	return true
}
