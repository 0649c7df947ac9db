package command

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"kdap/engine/windows"
)

// A Completion is one continuation of a word that is being typed.
type Completion struct {
	Text   string // in the place of the word
	Detail string
	Kind   string // "command", "alias", "module", "symbol", "type", "process", "register"
}

// Bounds of one answer, and of the names that are looked through for it.
const (
	maxCompletions = 200
	maxLookedAt    = 400000
)

// Complete returns continuations of the word before pos, and where that word
// begins. Where a command stands these are commands and aliases; behind one
// they are modules, processes and registers; behind "mod!" they are the
// module's types and symbols. The session must not be running a command.
func (s *Session) Complete(ctx context.Context, line string, pos int) (start int, items []Completion) {
	s.ctx = ctx
	s.catchUp(ctx)
	pos = min(max(pos, 0), len(line))
	line = line[:pos]
	start = strings.LastIndexAny(line, " \t;(),+-*/=&|<>\"'{}") + 1
	before := line[strings.LastIndexAny(line[:start], ";{")+1 : start]
	before = strings.TrimLeft(before, " \t")
	if strings.HasPrefix(before, "$") && strings.HasSuffix(before, "<") {
		return start, nil // the name of a command file
	}
	if strings.HasPrefix(line[start:], "@") {
		start++
		f := completer{word: strings.ToLower(line[start:])}
		f.registers()
		return start, f.items
	}
	f := completer{word: strings.ToLower(line[start:])}
	module, name, qualified := strings.Cut(f.word, "!")
	switch {
	case before == "" && f.word == "":
	case before == "":
		f.commands(s)
		f.aliases(s)
		// A dot or an exclamation mark begins nothing but a command.
		if module == "" || module[0] == '.' {
			break
		}
		fallthrough
	default:
		if qualified && module != "" {
			f.inModule(ctx, s, module, name)
			break
		}
		if before != "" {
			f.aliases(s)
		}
		f.modules(ctx, s)
		if f.word == "" {
			break
		}
		f.processes(ctx, s)
		if strings.HasPrefix(f.word, "_") {
			f.types(ctx, s.sys.Nt(), "")
		}
	}
	return start, f.items
}

type completer struct {
	word  string // lower case
	items []Completion
}

func (f *completer) add(text, detail, kind string) {
	if len(f.items) < maxCompletions && strings.HasPrefix(strings.ToLower(text), f.word) {
		f.items = append(f.items, Completion{Text: text, Detail: detail, Kind: kind})
	}
}

func (f *completer) commands(s *Session) {
	all := s.names()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f.add(name, all[name].Short, "command")
	}
}

func (f *completer) aliases(s *Session) {
	for _, name := range slices.Sorted(maps.Keys(s.aliases.named)) {
		f.add(name, s.aliases.named[name], "alias")
	}
}

// registerNames are the names behind an @ that are offered.
var registerNames = strings.Fields("rax rbx rcx rdx rsi rdi rsp rbp rip r8 r9 r10 r11 r12 r13 r14 r15 efl cs ds es fs gs ss cr0 cr2 cr3 cr4 cr8 " +
	"$proc $thread $peb $teb $ip $eventip $csp $ra $retreg $frame $exp $p $ptrsize $pagesize $bug_code $bug_param1 $bug_param2 $bug_param3 $bug_param4 " +
	"$t0 $t1 $t2 $t3 $t4 $t5 $t6 $t7 $t8 $t9 $t10 $t11 $t12 $t13 $t14 $t15 $t16 $t17 $t18 $t19 $extret")

func (f *completer) registers() {
	for _, name := range registerNames {
		f.add(name, "", "register")
	}
}

func (f *completer) modules(ctx context.Context, s *Session) {
	for _, m := range s.moduleSet(ctx).All() {
		f.add(m.Name+"!", m.ImageName, "module")
	}
}

func (f *completer) processes(ctx context.Context, s *Session) {
	seen := map[string]bool{}
	for p, err := range s.sys.ActiveProcesses(ctx) {
		if err != nil || len(f.items) >= maxCompletions {
			return
		}
		if name, err := p.Name(); err == nil && !seen[name] {
			seen[name] = true
			f.add(visible(name), "process", "process")
		}
	}
}

// inModule offers the types and symbols of a module.
func (f *completer) inModule(ctx context.Context, s *Session, module, name string) {
	m := s.moduleNamed(ctx, module)
	if m == nil {
		return
	}
	if name != "" {
		f.types(ctx, m, module+"!")
	}
	f.matching(ctx, module+"!", "symbol", func(yield func(string) bool) {
		for sym := range s.symbolsOf(ctx, m).All() {
			if !yield(sym.Name) {
				return
			}
		}
	})
}

func (f *completer) types(ctx context.Context, m *windows.Module, prefix string) {
	if m == nil {
		return
	}
	src := m.Types()
	if src == nil {
		return
	}
	f.matching(ctx, prefix, "type", func(yield func(string) bool) {
		for typ := range src.Types() {
			if !typ.Forward && !yield(typ.Name) {
				return
			}
		}
	})
}

// matching adds the names that begin as the word does, each once, in order.
func (f *completer) matching(ctx context.Context, prefix, kind string, all iter.Seq[string]) {
	seen := map[string]bool{}
	looked := 0
	for name := range all {
		if looked++; looked > maxLookedAt || looked%1024 == 0 && ctx.Err() != nil {
			break
		}
		full := prefix + name
		if len(full) >= len(f.word) && strings.EqualFold(full[:len(f.word)], f.word) {
			seen[full] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		f.add(name, "", kind)
	}
}
