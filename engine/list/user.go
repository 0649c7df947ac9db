package list

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"kdap/engine/dump"
	"kdap/engine/windows"
)

// Of a user minidump there is one process, without the kernel's objects: their
// addresses are absent.

// sourceMinidump is where its process comes from.
const sourceMinidump = "minidump"

// errUser is the error of listings that only a kernel can fill.
var errUser = errors.New("a user minidump does not hold this")

// An Exception is what a user minidump was made for.
type Exception struct {
	Code    Hex    `json:"code"`
	Name    string `json:"name,omitempty"`
	Address Hex    `json:"address"` // instruction
	TID     uint32 `json:"tid"`     // thread
}

// userSystem reads the facts of the system that a process ran on.
func userSystem(u *windows.UserProcess) System {
	f := u.File()
	v := System{Format: "MDMP", Type: f.StatusText(), Architecture: machines[u.Machine()]}
	if s := f.System; s != nil {
		v.Build, v.CPUs = s.BuildNumber, uint32(s.NumberOfProcessors)
	}
	if v.Architecture == "" {
		v.Architecture = "unknown"
	}
	if m := f.Misc; m != nil {
		v.BuildLab = m.BuildString
	}
	if f.TimeDateStamp != 0 {
		t := Time(u.Time())
		v.CrashTime = &t
	}
	if e := f.Exception; e != nil {
		name, _ := windows.ExceptionName(e.Code)
		v.Exception = &Exception{Hex(e.Code), name, Hex(e.Address), e.ThreadID}
	}
	return v
}

func (f Filter) user(u *windows.UserProcess) bool {
	if pid, ok := u.PID(); len(f.PIDs) > 0 && (!ok || !slices.Contains(f.PIDs, uint64(pid))) {
		return false
	}
	ok, err := path.Match(strings.ToLower(f.Name), strings.ToLower(u.Name()))
	return f.Name == "" || ok && err == nil
}

func userPID(u *windows.UserProcess) *uint64 {
	pid, ok := u.PID()
	if !ok {
		return nil
	}
	v := uint64(pid)
	return &v
}

func userProcesses(_ context.Context, u *windows.UserProcess, keep Filter) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		if !keep.user(u) {
			return
		}
		threads := uint64(len(u.File().Threads))
		v := Process{PID: userPID(u), Name: u.Name(), ImagePath: u.Path(), Threads: &threads, Source: sourceMinidump}
		if n := uint64(len(u.File().Handles)); n > 0 {
			v.Handles = &n
		}
		if created, ok := u.Created(); ok {
			t := Time(created)
			v.Created = &t
		}
		yield(v, nil)
	}
}

func userThreads(ctx context.Context, u *windows.UserProcess, keep Filter) iter.Seq2[Thread, error] {
	return func(yield func(Thread, error) bool) {
		if !keep.user(u) {
			return
		}
		for i := range u.File().Threads {
			if !yield(userThread(ctx, u, &u.File().Threads[i]), nil) {
				return
			}
		}
	}
}

func userThread(ctx context.Context, u *windows.UserProcess, t *dump.UserThread) Thread {
	tid, teb, priority := uint64(t.ID), Hex(t.TEB), int64(int32(t.Priority))
	v := Thread{PID: userPID(u), TID: &tid, TEB: &teb, Priority: &priority, Name: t.Name}
	if !t.HasInfo {
		return v
	}
	created := Time(windows.FileTime(t.CreateTime))
	start := Hex(t.StartAddress)
	v.Created, v.StartAddress = &created, &start
	v.StartSymbol = u.Modules(ctx).Name(ctx, t.StartAddress)
	return v
}

func userStacks(ctx context.Context, u *windows.UserProcess, keep Filter) iter.Seq2[Stack, error] {
	return func(yield func(Stack, error) bool) {
		if !keep.user(u) {
			return
		}
		for i, t := range u.File().Threads {
			tid := uint64(t.ID)
			v := Stack{PID: userPID(u), TID: &tid, Frames: []Frame{}}
			st, err := u.WholeStack(ctx, i, 0)
			v.fill(ctx, st, err)
			if !yield(v, nil) {
				return
			}
		}
	}
}

func userModules(ctx context.Context, u *windows.UserProcess, keep Filter) iter.Seq2[Module, error] {
	return func(yield func(Module, error) bool) {
		if !keep.user(u) {
			return
		}
		for _, m := range u.Modules(ctx).All() {
			v := NewModule(ctx, m)
			v.PID = userPID(u)
			if !yield(v, nil) {
				return
			}
		}
		for _, m := range u.File().Unloaded {
			name := m.Name[strings.LastIndexByte(m.Name, '\\')+1:]
			v := Module{PID: userPID(u), Base: Hex(m.Base), Size: uint64(m.Size), Name: name, ImageName: name, Path: m.Name, Unloaded: true}
			if !yield(v, nil) {
				return
			}
		}
	}
}

func userUnloaded(_ context.Context, u *windows.UserProcess, keep Filter) iter.Seq2[Unloaded, error] {
	return func(yield func(Unloaded, error) bool) {
		for _, m := range u.File().Unloaded {
			if keep.user(u) && !yield(Unloaded{m.Name, Hex(m.Base), Hex(m.Base + uint64(m.Size))}, nil) {
				return
			}
		}
	}
}

// userKinds are the listings of a user minidump.
var userKinds = map[string]func(context.Context, *windows.UserProcess, Filter) iter.Seq2[any, error]{
	"system": func(_ context.Context, u *windows.UserProcess, _ Filter) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) { yield(userSystem(u), nil) }
	},
	"processes": anyOf(userProcesses),
	"threads":   anyOf(userThreads),
	"stacks":    anyOf(userStacks),
	"modules":   anyOf(userModules),
	"unloaded":  anyOf(userUnloaded),
	"handles":   anyOf(userHandles),
	"envs":      anyOf(userEnvs),
}

func anyOf[T any](each func(context.Context, *windows.UserProcess, Filter) iter.Seq2[T, error]) func(context.Context, *windows.UserProcess, Filter) iter.Seq2[any, error] {
	return func(ctx context.Context, u *windows.UserProcess, f Filter) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			for v, err := range each(ctx, u, f) {
				if !yield(v, err) {
					return
				}
			}
		}
	}
}

// userEach yields the entries of a kind for a user minidump.
func userEach(ctx context.Context, k Kind, u *windows.UserProcess, f Filter) iter.Seq2[any, error] {
	if each, ok := userKinds[k.Name]; ok {
		return each(ctx, u, f)
	}
	return func(yield func(any, error) bool) { yield(nil, fmt.Errorf("%s: %w", k.Name, errUser)) }
}

func userHandles(_ context.Context, u *windows.UserProcess, keep Filter) iter.Seq2[Handle, error] {
	return func(yield func(Handle, error) bool) {
		for _, h := range u.File().Handles {
			access := Hex(h.GrantedAccess)
			v := Handle{PID: userPID(u), Handle: Hex(h.Handle), Type: h.Type, Name: h.Object, Access: &access}
			if keep.user(u) && !yield(v, nil) {
				return
			}
		}
	}
}

func userEnvs(_ context.Context, u *windows.UserProcess, keep Filter) iter.Seq2[Env, error] {
	return func(yield func(Env, error) bool) {
		if !keep.user(u) {
			return
		}
		pid, _ := u.PID()
		block, err := u.Environment()
		if err != nil {
			yield(Env{}, fmt.Errorf("process %d: %w", pid, err))
			return
		}
		for v, err := range block.Variables() {
			if !yield(Env{PID: uint64(pid), Name: v.Name, Value: v.Value}, err) {
				return
			}
		}
	}
}
