package command

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"kdap/engine/windows"
)

// tlistOptions are the options of !tl: which processes, which columns.
type tlistOptions struct {
	states, zombies, users, cpu, memory, process bool

	sessions bool
	session  int64 // -1: any

	module string // only processes that have a module of this name
	filter *regexp.Regexp
	text   string // of the filter, which may be an address
}

func (s *Session) parseTlist(c *Call) (o tlistOptions, err error) {
	o.session = -1
	regular := false
	for !c.Args.Done() {
		switch word := c.Word(); strings.ToLower(word) {
		case "-t":
			o.states = true
		case "-z":
			o.zombies = true
		case "-u":
			o.users = true
		case "-cpu":
			o.cpu = true
		case "-mem":
			o.memory = true
		case "-proc":
			o.process = true
		case "-r":
			regular = true
		case "-i": // letter case is ignored anyway
		case "-m":
			if o.module = strings.ToLower(c.quotedWord()); o.module == "" {
				return o, Failf("-m: a module's name is missing")
			}
		case "-s":
			o.sessions = true
			if next := c.Peek(); next != "" && isDigit(next[0]) {
				v, err := s.extensionNumber(c)
				if err != nil {
					return o, err
				}
				o.session = int64(v)
			}
		default:
			if word[0] == '-' {
				return o, Failf("Unknown option: %s", word)
			}
			o.text = word
		}
	}
	if o.text == "" {
		return o, nil
	}
	pattern := o.text
	if !regular {
		pattern = regexp.QuoteMeta(pattern)
	}
	if o.filter, err = regexp.Compile("(?i)" + pattern); err != nil {
		return o, Failf("%v", err)
	}
	return o, nil
}

// A tlistColumn is a part of the table: heads, and the cells of a process.
type tlistColumn struct {
	heads []string
	cells func(context.Context, *Session, windows.Process) []string
}

// columns are those that the options ask for, behind id and address.
func (o tlistOptions) columns() []tlistColumn {
	name := tlistColumn{[]string{"Name"}, func(_ context.Context, s *Session, p windows.Process) []string { return []string{s.serviceName(p)} }}
	session := tlistColumn{[]string{">Ses"}, func(_ context.Context, _ *Session, p windows.Process) []string { return []string{mexSession(p)} }}
	var list []tlistColumn
	if o.sessions {
		list = append(list, session)
	}
	list = append(list, name)
	if o.process {
		if !o.sessions {
			list = append(list, session)
		}
		list = append(list, tlistColumn{[]string{">Thd", ">Hnd", "Create Time", "Command Line"}, tlistProcess})
	}
	if o.users {
		list = append(list, tlistColumn{[]string{"User Name"}, func(_ context.Context, s *Session, p windows.Process) []string { return []string{s.userName(p)} }})
	}
	if o.states {
		list = append(list, tlistColumn{[]string{">!!", ">Rn", ">Ry", ">Bk", ">Lc", ">IO", ">Er"}, tlistStates})
	}
	if o.cpu {
		list = append(list, tlistColumn{[]string{">User", ">Kernel", ">Total"}, tlistTimes})
	}
	if o.memory {
		list = append(list, tlistColumn{[]string{">VM", ">Peak", ">Shared", ">Awe Size", ">Commit Size", ">PP Quota", ">NPP Quota"}, tlistMemory})
	}
	if o.module != "" {
		list = append(list, tlistColumn{[]string{"Modules"}, func(ctx context.Context, _ *Session, p windows.Process) []string {
			return []string{strings.Join(modulesLike(ctx, p, o.module), ",")}
		}})
	}
	return list
}

func runMexTlist(ctx context.Context, s *Session, c *Call) error {
	o, err := s.parseTlist(c)
	if err != nil {
		return err
	}
	heads := []string{"PID", "Address"}
	columns := o.columns()
	for _, c := range columns {
		heads = append(heads, c.heads...)
	}
	g := newGrid(heads...)
	zombies := 0
	for p, err := range s.idleAndActive(ctx) {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil {
			s.notef("%v", err)
			break
		}
		if !s.mexWanted(ctx, p, o) {
			continue
		}
		if isZombie(p) && !o.zombies {
			zombies++
			continue
		}
		pid, _ := p.PID()
		row := []string{fmt.Sprintf("0x%-5x0n%-5d", pid, pid), fmt.Sprintf("%016x", p.Addr())}
		for _, c := range columns {
			row = append(row, c.cells(ctx, s, p)...)
		}
		g.add(row...)
	}
	g.print(s, "")
	w := g.widths()
	s.printf("%s\n%s\n", g.rule(w), g.line(w, g.heads))
	if zombies > 0 {
		s.printf("\nWarning! Zombie process(es) detected (not displayed). Count: %d [zombie report]\n", zombies)
	}
	return nil
}

func (s *Session) mexWanted(ctx context.Context, p windows.Process, o tlistOptions) bool {
	if o.session >= 0 {
		if id, has, err := p.Session(); err != nil || !has || int64(id) != o.session {
			return false
		}
	}
	if o.filter != nil && !o.filter.MatchString(mexName(p)) {
		if addr, err := s.evaluate(o.text); err != nil || addr != p.Addr() {
			return false
		}
	}
	return o.module == "" || len(modulesLike(ctx, p, o.module)) > 0
}

// modulesLike are the names of a process's modules that contain a text.
func modulesLike(ctx context.Context, p windows.Process, text string) (names []string) {
	for _, m := range p.UserModules(ctx).All() {
		if strings.Contains(strings.ToLower(m.Name), text) {
			names = append(names, visible(m.Name))
		}
	}
	return names
}

// serviceName is a process's name; that of a host of services with the last
// word of its command line, which names the service or the group. A command
// line that is not there leaves the plain name.
func (s *Session) serviceName(p windows.Process) string {
	name := mexName(p)
	if !strings.EqualFold(name, "svchost.exe") {
		return name
	}
	block, err := p.Environment()
	if err != nil {
		return name
	}
	line, err := block.CommandLine()
	if err != nil {
		return name
	}
	words := strings.Fields(line)
	if len(words) < 2 {
		return name
	}
	return name + "(" + visible(words[len(words)-1]) + ")"
}

func tlistProcess(_ context.Context, s *Session, p windows.Process) []string {
	threads, _ := p.ThreadCount()
	handles, _ := p.HandleCount()
	created, _ := p.Created()
	line, _ := s.commandLine(p)
	return []string{fmt.Sprint(threads), fmt.Sprint(handles), mexDate(created), line}
}

func tlistTimes(_ context.Context, _ *Session, p windows.Process) []string {
	st := p.Stats()
	return []string{mexTime(st.UserTime), mexTime(st.KernelTime), mexTime(st.UserTime + st.KernelTime)}
}

func tlistMemory(_ context.Context, _ *Session, p windows.Process) []string {
	st := p.Stats()
	shared, _ := p.Object().Field("SharedCommitCharge").Uint()
	awe, _ := p.Object().Field("AweInfo").Deref().Field("VirtualAddressPfnCount").Uint()
	return []string{
		mexSize(st.VirtualSize), mexSize(st.PeakVirtualSize), mexSize(shared << 12), mexSize(awe << 12), mexSize(st.Commit << 12),
		mexSize(st.PagedQuota), mexSize(st.NonPagedQuota),
	}
}

// tlistStates counts a process's threads by what they do: !! those that ask for
// a look, which wait for a lock or cannot be read.
func tlistStates(ctx context.Context, s *Session, p windows.Process) []string {
	var running, ready, blocked, locked, io, broken int
	for t, err := range p.Threads(ctx) {
		if err != nil {
			broken++
			break
		}
		state, err := t.State()
		if err != nil {
			broken++
			continue
		}
		switch state {
		case windows.StateRunning, windows.StateStandby:
			running++
		case windows.StateReady, stateDeferredReady:
			ready++
		case windows.StateWaiting:
			if r, err := t.WaitReason(); err == nil && isBlockedReason(s.sys.WaitReasonName(r)) {
				locked++
			} else {
				blocked++
			}
		}
		for _, err := range t.IRPs(ctx) {
			if err == nil {
				io++
			}
			break
		}
	}
	cells := make([]string, 0, 7)
	for _, n := range []int{locked + broken, running, ready, blocked, locked, io, broken} {
		if n == 0 {
			cells = append(cells, ".")
			continue
		}
		cells = append(cells, fmt.Sprint(n))
	}
	return cells
}

// stateDeferredReady is a thread that a processor has to put into a queue yet.
const stateDeferredReady = 7

// isBlockedReason: the thread waits for something that another thread holds.
func isBlockedReason(reason string) bool {
	switch reason {
	case "WrResource", "WrPushLock", "WrMutex", "WrGuardedMutex", "WrFastMutex", "WrKeyedEvent":
		return true
	}
	return false
}
