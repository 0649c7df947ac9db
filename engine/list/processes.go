package list

import (
	"context"
	"errors"
	"iter"

	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

// A Process is an entry of the kind "processes".
type Process struct {
	PID              *uint64 `json:"pid,omitempty"`
	PPID             *uint64 `json:"ppid,omitempty"`    // of the process that made it, which may be gone
	Name             string  `json:"name,omitempty"`    // file name of the image, cut where the dump has only the short one
	EPROCESS         Hex     `json:"eprocess,omitzero"` // absent in user minidumps
	DTB              *Hex    `json:"dtb,omitempty"`     // DirectoryTableBase, PCID bits included
	PEB              *Hex    `json:"peb,omitempty"`     // absent for processes without a user part
	Session          *uint32 `json:"session,omitempty"` // absent for processes of no session
	Threads          *uint64 `json:"threads,omitempty"` // that live
	Handles          *uint64 `json:"handles,omitempty"` // that are open
	Created          *Time   `json:"created,omitempty"`
	Exited           *Time   `json:"exited,omitempty"`           // absent while it runs
	WOW64            *bool   `json:"wow64,omitempty"`            // a 32-bit process
	ImagePath        string  `json:"imagePath,omitempty"`        // the image file's
	CommandLine      string  `json:"commandLine,omitempty"`      // from the PEB
	CurrentDirectory string  `json:"currentDirectory,omitempty"` // from the PEB
	WorkingSetPages  *uint64 `json:"workingSetPages,omitempty"`
	PrivatePages     *uint64 `json:"privatePages,omitempty"`
	CommitPages      *uint64 `json:"commitPages,omitempty"`
	User             string  `json:"user,omitempty"` // the account of its token; a SID where the dump has no name for it
	Source           string  `json:"source"`         // how it was found: "list", "cid" (the table of ids), "idle", "triage", "minidump"

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// Processes yields the processes that keep accepts.
func Processes(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Process, error] {
	var accounts *machine.Accounts
	_, untyped := sys.Type("_TOKEN")
	return ofProcesses(AllProcesses(ctx, sys), keep, func(p windows.Process, yield func(Process, error) bool) bool {
		v := NewProcess(ctx, p)
		if untyped == nil {
			if accounts == nil {
				accounts = machine.NewAccounts(ctx, sys)
			}
			v.readAccount(ctx, p, accounts)
		}
		return yield(v, nil)
	})
}

func (v *Process) readAccount(ctx context.Context, p windows.Process, accounts *machine.Accounts) {
	t, err := p.Token()
	if err == nil {
		v.User, err = accounts.Text(ctx, t)
	}
	if err != nil {
		v.Unreadable.add("user", err)
	}
}

// ofProcesses yields what each yields of the processes that keep accepts. Each
// reports whether the receiver wants more. An error of the walk over processes
// comes with no value.
func ofProcesses[V any](processes iter.Seq2[windows.Process, error], keep Filter, each func(p windows.Process, yield func(V, error) bool) bool) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for p, err := range processes {
			more := true
			if err != nil {
				var none V
				more = yield(none, err)
			} else if keep.Process(p) {
				more = each(p, yield)
			}
			if !more {
				return
			}
		}
	}
}

// AllProcesses yields the views: the idle process, which is in no list, then
// those of the lists.
func AllProcesses(ctx context.Context, sys *windows.System) iter.Seq2[windows.Process, error] {
	return func(yield func(windows.Process, error) bool) {
		// A triage dump saves one process, which may be that one.
		if idle, err := sys.IdleProcess(); err == nil && sys.Paged() && !yield(idle, nil) {
			return
		}
		for p, err := range sys.Processes(ctx) {
			if !yield(p, err) {
				return
			}
		}
	}
}

// NewProcess reads the values of one process.
func NewProcess(ctx context.Context, p windows.Process) Process {
	v := Process{EPROCESS: Hex(p.Addr()), Source: p.Source()}
	u := &v.Unreadable
	pid, err := p.PID()
	v.PID = read(u, "pid", pid, err)
	ppid, err := p.ParentPID()
	v.PPID = read(u, "ppid", ppid, err)
	name, err := p.ImageName()
	v.Name = readText(u, "name", name, err)
	dtb, err := p.DTB()
	v.DTB = readHex(u, "dtb", dtb, err)
	session, has, err := p.Session()
	if has || err != nil {
		v.Session = read(u, "session", session, err)
	}
	threads, err := p.ThreadCount()
	v.Threads = read(u, "threads", threads, err)
	handles, err := p.HandleCount()
	v.Handles = read(u, "handles", handles, err)
	created, err := p.Created()
	v.Created = readTime(u, "created", created, err)
	exited, err := p.Exited()
	v.Exited = readTime(u, "exited", exited, err)
	wow, err := p.WOW64()
	v.WOW64 = read(u, "wow64", wow, err)
	pages, err := p.WorkingSetPages()
	v.WorkingSetPages = read(u, "workingSetPages", pages, err)
	pages, err = p.PrivatePages()
	v.PrivatePages = read(u, "privatePages", pages, err)
	pages, err = p.CommitPages()
	v.CommitPages = read(u, "commitPages", pages, err)
	v.readUser(ctx, p)
	return v
}

// readUser reads what only the process's own memory tells.
func (v *Process) readUser(ctx context.Context, p windows.Process) {
	u := &v.Unreadable
	peb, err := p.PEB()
	if err != nil || peb != 0 {
		v.PEB = readHex(u, "peb", peb, err)
	}
	if path, err := p.ImagePath(ctx); err != nil || path != "" {
		v.ImagePath = readText(u, "imagePath", path, err)
	}
	env, err := p.Environment()
	if errors.Is(err, windows.ErrNoPEB) {
		return
	}
	// One cause for both: without the parameters neither can be read.
	if err == nil {
		err = env.Parameters().Err()
	}
	if err != nil {
		u.add("commandLine", err)
		u.add("currentDirectory", err)
		return
	}
	text, err := env.CommandLine()
	v.CommandLine = readText(u, "commandLine", text, err)
	text, err = env.CurrentDirectory()
	v.CurrentDirectory = readText(u, "currentDirectory", text, err)
}
