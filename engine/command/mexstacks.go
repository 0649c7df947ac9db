package command

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"

	"kdap/engine/windows"
)

// Stacks of many threads, equal ones together.

// stackGroup are threads with one stack.
type stackGroup struct {
	frames  []windows.Frame
	names   []string
	hint    string // what more there is to say of the threads
	threads []groupThread
}

type groupThread struct {
	addr, ran uint64
}

// stackOptions say which threads' stacks are grouped, and what of them.
type stackOptions struct {
	kernel  bool // only the part in the kernel
	running bool // threads on a processor
	waiting bool // threads that wait
	foreign bool // stacks with modules of other makers than Microsoft
}

// wants tells whether a thread is one of those.
func (o stackOptions) wants(ctx context.Context, t windows.Thread) bool {
	switch {
	case o.running: // the idle thread of a busy processor only says so
		_, runs := t.RunsOn(ctx)
		return runs
	case o.waiting:
		state, err := t.State()
		return err == nil && state == windows.StateWaiting
	}
	return true
}

// summaryRule is how wide the rule under the head of kernel stacks is.
const summaryRule = 60

// shownThreads is how many threads of a group are named.
const shownThreads = 10

func mexStackCommands() []*Command {
	return []*Command{{
		Names: []string{"!us", "!uniquestacks"}, Args: "[-a] [-k] [-cpu] [-w] [-3] [-p Process] [-r] [-e Text] [Filter]",
		Short: "stacks of threads, equal ones together", Run: runUniqueStacks,
	}}
}

func runUniqueStacks(ctx context.Context, s *Session, c *Call) error {
	var o stackOptions
	var all, kernel, regular bool
	except := ""
	p, err := s.debuggee.process(s)
	for !c.Args.Done() && c.Args.Rest()[0] == '-' {
		switch w := strings.ToLower(c.Word()); w {
		case "-a":
			all = true
		case "-k":
			all, kernel = true, true
		case "-cpu":
			all, o.running = true, true
		case "-w":
			o.waiting = true
		case "-3":
			o.foreign = true
		case "-i": // letter case is ignored anyway
		case "-r":
			regular = true
		case "-e":
			except = strings.ToLower(c.quotedWord())
		case "-p":
			if p, err = s.mexProcessArgument(ctx, c); err != nil {
				return err
			}
		default:
			return Failf("Unknown option: %s", w)
		}
	}
	filter := c.restOfCall()
	if !regular {
		filter = regexp.QuoteMeta(filter)
	}
	re, rerr := regexp.Compile("(?i)" + filter)
	if rerr != nil {
		return Failf("%v", rerr)
	}
	processes := iter.Seq2[windows.Process, error](func(yield func(windows.Process, error) bool) { yield(p, err) })
	if all {
		processes = s.idleAndActive(ctx)
	} else if err != nil {
		return err
	}
	if o.kernel = kernel; kernel {
		s.printf("Kernel Summary\n%s\n", strings.Repeat("=", summaryRule))
	}
	groups, total, missing := s.groupStacks(ctx, processes, o)
	matching, stacks := 0, 0
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		text := strings.Join(g.names, "\n")
		if !re.MatchString(text) || except != "" && strings.Contains(strings.ToLower(text), except) {
			continue
		}
		matching += len(g.threads)
		stacks++
		s.printGroup(g)
	}
	if filter != "" || except != "" {
		s.printf("Threads matching filter: %d out of %d\n", matching, total)
		return ctx.Err()
	}
	s.printf("%d stack(s) with %d threads displayed (%d Total threads)\n", stacks, matching, total)
	if missing > 0 {
		s.printf("%d stack(s) were not displayed because we could not switch to thread context, or stack trace was empty\n", missing)
	}
	return ctx.Err()
}

// groupStacks walks the threads' stacks and puts equal ones together, the
// smallest groups first.
func (s *Session) groupStacks(ctx context.Context, processes iter.Seq2[windows.Process, error], o stackOptions) (groups []*stackGroup, total, missing int) {
	byKey := map[string]*stackGroup{}
	for _, t := range threadsOf(ctx, processes) {
		if !o.wants(ctx, t) {
			continue
		}
		total++
		st, err := t.Stack(ctx, maxFrames)
		frames := st.Frames
		if o.kernel {
			frames = kernelFrames(s, frames)
		}
		if err != nil || len(frames) == 0 {
			missing++
			continue
		}
		if o.foreign && !s.anyForeign(ctx, frames) {
			continue
		}
		var key strings.Builder
		for _, f := range frames {
			fmt.Fprintf(&key, "%x ", f.IP)
		}
		if o.running { // each with its processor
			n, _ := t.RunsOn(ctx)
			fmt.Fprintf(&key, "on %d", n)
		}
		g := byKey[key.String()]
		if g == nil {
			g = &stackGroup{frames: frames}
			if n, ok := t.RunsOn(ctx); ok && o.running {
				g.hint = fmt.Sprintf(" --> processor %d", n)
			}
			for _, f := range frames {
				g.names = append(g.names, s.frameName(ctx, f))
			}
			byKey[key.String()] = g
			groups = append(groups, g)
		}
		user, _ := t.UserTicks()
		kernel, _ := t.KernelTicks()
		g.threads = append(g.threads, groupThread{t.Addr(), user + kernel})
	}
	slices.SortStableFunc(groups, func(a, b *stackGroup) int { return len(a.threads) - len(b.threads) })
	return groups, total, missing
}

func (s *Session) printGroup(g *stackGroup) {
	slices.SortStableFunc(g.threads, func(a, b groupThread) int {
		switch {
		case a.ran > b.ran:
			return -1
		case a.ran < b.ran:
			return 1
		}
		return 0
	})
	word := "threads"
	if len(g.threads) == 1 {
		word = "thread"
	}
	s.printf("%d %s [stats]:", len(g.threads), word)
	for i, t := range g.threads {
		if i == shownThreads {
			s.printf(" ...")
			break
		}
		s.printf(" %016x", t.addr)
	}
	s.printf("%s\n", g.hint)
	sources, width := make([]string, len(g.frames)), 0
	for i, f := range g.frames {
		if f.Module != nil && s.settings.lines {
			sources[i] = mexSource(s.sourceSuffix(f.Module.PlaceIn(s.symbolsOf(s.ctx, f.Module), f.IP)))
		}
		width = max(width, len(g.names[i]))
	}
	for i, f := range g.frames {
		row := fmt.Sprintf("    %016x %-*s %s", f.IP, width, g.names[i], sources[i])
		s.printf("%s\n", strings.TrimRight(row, " "))
	}
	s.printf("\n")
}

// mexSource spells a place in a source file as MEX does: in parentheses.
func mexSource(suffix string) string {
	text := strings.TrimSpace(suffix)
	if len(text) < 2 || text[0] != '[' {
		return ""
	}
	return "(" + visible(text[1:len(text)-1]) + ")"
}

// kernelFrames are the frames of a stack before the first of user code.
func kernelFrames(s *Session, frames []windows.Frame) []windows.Frame {
	for i, f := range frames {
		if f.IP < s.sys.SystemRangeStart() {
			return frames[:i]
		}
	}
	return frames
}

// anyForeign tells whether a stack has a frame of a module that Microsoft did
// not make: by the module's version, else by where its file lies.
func (s *Session) anyForeign(ctx context.Context, frames []windows.Frame) bool {
	for _, f := range frames {
		if f.Module == nil {
			continue
		}
		if v := s.moduleVersion(ctx, f.Module); v != nil && v.String("CompanyName") != "" {
			if !strings.Contains(v.String("CompanyName"), "Microsoft") {
				return true
			}
			continue
		}
		path := strings.ToLower(modulePath(f.Module))
		if !strings.Contains(path, `\systemroot\`) && !strings.Contains(path, `\windows\`) && strings.Contains(path, `\`) {
			return true
		}
	}
	return false
}
