package command

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"kdap/engine/windows"
)

func objectLoopCommands() []*Command {
	return []*Command{
		{Names: []string{"!for_each_process"}, Args: `["Commands"]`, Short: "run commands for every process, @#Process", Run: runForEachProcess},
		{Names: []string{"!for_each_thread"}, Args: `["Commands"]`, Short: "run commands for every thread, @#Thread of @#Process", Run: runForEachThread},
		{Names: []string{"!for_each_module"}, Args: `["Commands"]`, Short: "run commands for every module, @#ModuleName, @#Base …", Run: runForEachModule},
		{Names: []string{"!for_each_frame"}, Args: `["Commands"]`, Short: "run commands for every frame of the stack, with the frame chosen", Run: runForEachFrame},
		{Names: []string{"!for_each_register"}, Args: `-c:Commands`, Short: "run commands for every register, @#RegisterName, @#RegisterValue", Run: runForEachRegister},
	}
}

// loopText reads the commands of a loop over objects: the rest of the
// extension's arguments, with or without quotes. "-?" asks for help.
func (s *Session) loopText(c *Call) (text string, help bool) {
	a := c.Args
	a.SkipBlanks()
	end := max(c.end, a.Pos)
	text = strings.Trim(a.Text[a.Pos:end], " \t")
	a.Pos = end
	text = strings.TrimPrefix(text, "-c:")
	if text == "-?" {
		s.printHelp(c.Name)
		return "", true
	}
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`)
	}
	return text, false
}

// forEach runs commands for every set of aliases. A failure in the commands of
// one object is printed and the next object follows; so is the error of the
// walk, which comes last.
func (s *Session) forEach(ctx context.Context, commands string, objects iter.Seq2[[]localAlias, error]) error {
	s.interp.loops++
	defer func() { s.interp.loops-- }()
	for locals, err := range objects {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.incomplete(err)
			break
		}
		err := s.withLocals(locals, func() error { return s.runBlock(ctx, commands) })
		if more, err := s.objectEnded(err); err != nil || !more {
			return err
		}
	}
	return nil
}

func hexAlias(name string, v uint64) localAlias { return localAlias{name, fmt.Sprintf("0x%016x", v)} }

func runForEachProcess(ctx context.Context, s *Session, c *Call) error {
	text, help := s.loopText(c)
	switch {
	case help:
		return nil
	case text == "":
		return s.runBlock(ctx, "!process 0 0")
	}
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for p, err := range s.sys.ActiveProcesses(ctx) {
			if !yield([]localAlias{hexAlias("@#Process", p.Addr())}, err) {
				return
			}
		}
	})
}

func runForEachThread(ctx context.Context, s *Session, c *Call) error {
	text, help := s.loopText(c)
	if help {
		return nil
	}
	if text == "" {
		text = "!thread @#Thread 2"
	}
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for p, err := range s.sys.ActiveProcesses(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			for t, err := range p.Threads(ctx) {
				if err != nil { // the other processes' lists may be good
					s.notef("%v", err)
					break
				}
				if !yield([]localAlias{hexAlias("@#Thread", t.Addr()), hexAlias("@#Process", p.Addr())}, nil) {
					return
				}
			}
		}
	})
}

func runForEachModule(ctx context.Context, s *Session, c *Call) error {
	text, help := s.loopText(c)
	if help {
		return nil
	}
	modules := s.moduleSet(ctx).All()
	if text == "" {
		for i, m := range modules {
			s.printf("%02d: %s %s   %s   %s   %s\n", i, s.addressText(m.Base), s.addressText(m.End()), m.Name, m.ImageName, visible(m.Path))
		}
		return nil
	}
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for i, m := range modules {
			if !m.WOW64 && !yield(s.moduleAliases(ctx, text, i, m), nil) {
				return
			}
		}
	})
}

// moduleAliases are the words that stand for a module's properties in
// commands. What costs a look at the image or its symbols is found out only
// when the commands ask for it.
func (s *Session) moduleAliases(ctx context.Context, commands string, i int, m *windows.Module) []localAlias {
	name := func(word, value string) []localAlias {
		return []localAlias{
			{"@#" + word, visible(value)},
			{"@#" + word + "Size", fmt.Sprintf("%#x", len(value)+1)},
		}
	}
	all := []localAlias{
		{"@#ModuleIndex", fmt.Sprintf("%#x", i)},
		hexAlias("@#Base", m.Base),
		{"@#Size", fmt.Sprintf("%#x", m.Size)},
		hexAlias("@#End", m.End()),
		{"@#TimeDateStamp", fmt.Sprintf("%#x", m.TimeDateStamp)},
		{"@#Checksum", fmt.Sprintf("%#x", m.CheckSum)},
		{"@#Flags", fmt.Sprintf("%#x", moduleFlags(m))},
	}
	all = append(all, name("ModuleName", m.Name)...)
	all = append(all, name("ImageName", m.ImageName)...)
	all = append(all, name("LoadedImageName", m.Path)...)
	all = append(all, name("MappedImageName", m.Path)...)
	if strings.Contains(commands, "@#Symbol") {
		t := s.symbolsOf(ctx, m)
		all = append(all, name("SymbolFileName", t.File)...)
		all = append(all, localAlias{"@#SymbolType", fmt.Sprintf("%#x", symbolType(t.PDB() != nil, t.File != ""))})
	}
	if strings.Contains(commands, "@#FileVersion") || strings.Contains(commands, "@#ProductVersion") {
		file, product := "", ""
		if v := s.moduleVersion(ctx, m); v != nil {
			file = versionNumber(v.String("FileVersion"), v.File)
			product = versionNumber(v.String("ProductVersion"), v.Product)
		}
		all = append(all, localAlias{"@#FileVersion", file}, localAlias{"@#ProductVersion", product})
	}
	return all
}

// The numbers of the debugger interface, DEBUG_MODULE_… and DEBUG_SYMTYPE_….
const (
	moduleUserMode = 2

	symbolsPDB    = 3
	symbolsExport = 4
	symbolsOther  = 7
)

func moduleFlags(m *windows.Module) uint32 {
	if m.User {
		return moduleUserMode
	}
	return 0
}

func symbolType(pdb, file bool) uint32 {
	switch {
	case pdb:
		return symbolsPDB
	case file:
		return symbolsOther
	}
	return symbolsExport
}

func runForEachFrame(ctx context.Context, s *Session, c *Call) error {
	text, help := s.loopText(c)
	if help {
		return nil
	}
	regs, err := s.registers()
	if err != nil {
		return err
	}
	before := s.scope.frame
	defer func() { s.scope.frame = before }()
	frames := s.walk(ctx, regs, s.settings.kframes).Frames
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for i := range frames {
			s.chooseFrame(ctx, uint64(s.scope.base+i))
			s.printCurrentFrame(ctx)
			if !yield([]localAlias{{"@#FrameNum", fmt.Sprintf("%#x", s.scope.base+i)}}, nil) {
				return
			}
		}
	})
}

func runForEachRegister(ctx context.Context, s *Session, c *Call) error {
	text, help := s.loopText(c)
	if help {
		return nil
	}
	regs, err := s.registers()
	if err != nil {
		return err
	}
	return s.forEach(ctx, text, func(yield func([]localAlias, error) bool) {
		for _, name := range []string{
			"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			"rip", "efl", "cs", "ds", "es", "fs", "gs", "ss",
		} {
			v, _, ok := regs.Get(name)
			if ok && !yield([]localAlias{{"@#RegisterName", name}, hexAlias("@#RegisterValue", v)}, nil) {
				return
			}
		}
	})
}

// versionNumber is the version a resource names: its text, or its numbers.
func versionNumber(text string, fixed [4]uint16) string {
	if text != "" {
		return visible(text)
	}
	return fmt.Sprintf("%d.%d.%d.%d", fixed[0], fixed[1], fixed[2], fixed[3])
}
