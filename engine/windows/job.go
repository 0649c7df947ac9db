package windows

import (
	"context"
	"fmt"
	"iter"

	"kdap/engine/types"
)

// A Job is a view over one _EJOB.
type Job struct {
	sys *System
	obj types.Object
}

// Job returns the view over the _EJOB at addr.
func (s *System) Job(addr uint64) Job { return Job{s, s.Struct("_EJOB", addr)} }

// Job returns the job that the process belongs to; false for none.
func (p Process) Job() (Job, bool, error) {
	addr, err := p.obj.Field("Job").Uint()
	return p.sys.Job(addr), addr != 0, err
}

// Addr returns the address of the _EJOB.
func (j Job) Addr() uint64 { return j.obj.Addr() }

// Object returns the _EJOB itself.
func (j Job) Object() types.Object { return j.obj }

// IsJob reports whether the object manager has the object as a job.
func (j Job) IsJob() bool {
	name, err := j.sys.ObjectAt(j.Addr()).TypeName()
	return err == nil && name == "Job"
}

// Processes yields the processes of the job itself, not those of the jobs below it.
func (j Job) Processes(ctx context.Context) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		t, err := j.sys.Type("_EPROCESS")
		if err != nil {
			yield(Process{}, err)
			return
		}
		for o, err := range types.ListEntries(j.obj.Field("ProcessListHead"), t, "JobLinks") {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Process{}, fmt.Errorf("processes of job %#x: %w", j.Addr(), err))
				return
			}
			if !yield(j.sys.Process(o.Addr()), nil) {
				return
			}
		}
	}
}
