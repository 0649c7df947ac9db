package command

import (
	"context"
	"errors"
	"strings"

	"kdap/engine/windows/registry"
)

func registryCommands() []*Command { return []*Command{cmdReg(), cmdRegkcb()} }

// A regSub is one subcommand of !reg.
type regSub struct {
	names []string
	args  string
	run   func(ctx context.Context, s *Session, r *registry.Registry, c *Call) error
}

func regSubs() []regSub {
	return []regSub{
		{[]string{"querykey", "q"}, "FullKeyPath", regQueryKey},
		{[]string{"keyinfo"}, "HiveAddr KeyNodeAddr", regKeyInfo},
		{[]string{"kcb"}, "Address", regKCB},
		{[]string{"knode"}, "Address", regNode},
		{[]string{"kbody"}, "Address", regBody},
		{[]string{"kvalue"}, "Address", regValue},
		{[]string{"valuelist"}, "HiveAddr KeyNodeAddr", regValueList},
		{[]string{"subkeylist"}, "HiveAddr KeyNodeAddr", regSubKeyList},
		{[]string{"baseblock"}, "HiveAddr", regBaseBlock},
		{[]string{"seccache"}, "HiveAddr", regSecurityCache},
		{[]string{"hashindex"}, "[HiveAddr] HashKey", regHashIndex},
		{[]string{"convkey"}, "KeyPath", regConvKey},
		{[]string{"openkeys"}, "HiveAddr|0", regOpenKeys},
		{[]string{"openhandles"}, "HiveAddr|0", regOpenHandles},
		{[]string{"findkcb"}, "FullKeyPath", regFindKCB},
		{[]string{"hivelist"}, "", regHiveList},
		{[]string{"viewlist"}, "HiveAddr", regViewList},
		{[]string{"freebins"}, "HiveAddr", regFreeBins},
		{[]string{"freecells"}, "BinAddr", regFreeCells},
		{[]string{"dirtyvector"}, "HiveAddr", regDirtyVector},
		{[]string{"cellindex"}, "HiveAddr Index", regCellIndex},
		{[]string{"freehints"}, "HiveAddr Storage Display", regFreeHints},
		{[]string{"translist"}, "RmAddr|0", regTransactions},
		{[]string{"uowlist"}, "TransactionAddr", regUnitsOfWork},
		{[]string{"locktable"}, "KcbAddr ThreadAddr", regLockTable},
		{[]string{"ixlock"}, "LockAddr", regIntentLock},
		{[]string{"postblocklist"}, "", regPostBlocks},
		{[]string{"notifylist"}, "", regNotifications},
		{[]string{"dumppool"}, "", regDumpPool},
	}
}

func cmdReg() *Command {
	return &Command{
		Names: []string{"!reg"}, Args: "Subcommand …",
		Short: "show the registry: hives, keys, values, open keys",
		Run:   runReg,
	}
}

func runReg(ctx context.Context, s *Session, c *Call) error {
	word := strings.ToLower(c.Word())
	for _, sub := range regSubs() {
		for _, name := range sub.names {
			if name != word {
				continue
			}
			r, err := s.openRegistry(ctx)
			if err != nil {
				return err
			}
			if c.Args.Done() && sub.args != "" && !strings.HasPrefix(sub.args, "[") {
				return Failf("usage: !reg %s %s", word, sub.args)
			}
			return sub.run(ctx, s, r, c)
		}
	}
	s.printf("reg <command>      <params>       - Registry extensions\n")
	for _, sub := range regSubs() {
		s.printf("    %-16s %s\n", strings.Join(sub.names, "|"), sub.args)
	}
	c.rest()
	return nil
}

func cmdRegkcb() *Command {
	return &Command{
		Names: []string{"!regkcb"}, Args: "Address",
		Short: "show a key control block: !reg kcb",
		Run: func(ctx context.Context, s *Session, c *Call) error {
			if c.Args.Done() {
				return Failf("usage: !regkcb Address")
			}
			r, err := s.openRegistry(ctx)
			if err != nil {
				return err
			}
			return regKCB(ctx, s, r, c)
		},
	}
}

// openRegistry finds the registry, or fails in the debugger's words.
func (s *Session) openRegistry(ctx context.Context) (*registry.Registry, error) {
	r, err := registry.Open(ctx, s.sys)
	if err != nil {
		s.notef("%v", err)
		return nil, Failf("Unable to read CmpHiveListHead")
	}
	return r, nil
}

// regHive takes the address of a hive. One that is none fails in the
// debugger's words.
func (s *Session) regHive(r *registry.Registry, c *Call) (*registry.Hive, error) {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return nil, err
	}
	h := r.Hive(addr)
	switch signature, err := h.Signature(); {
	case err != nil:
		s.notef("%v", err)
		return nil, Failf("Can't read Hive Signature at %016x", addr)
	case signature != registry.HiveSignature:
		return nil, Failf("Invalid Hive signature: %x", signature)
	}
	return h, nil
}

// gaps tells of what could not be read: all of the first few, the rest as a
// number.
type gaps struct {
	s *Session
	n int
}

const maxGapNotes = 8

func (g *gaps) add(err error) {
	if g.n++; g.n <= maxGapNotes {
		g.s.notef("%v", err)
	}
}

func (g *gaps) end() {
	if g.n > maxGapNotes {
		g.s.notef("and %d more that could not be read", g.n-maxGapNotes)
	}
}

const (
	hiveRule   = 151
	hiveHeader = "|     HiveAddr     |Stable Length|    Stable Map    |Volatile Length|    Volatile Map    |MappedViews|PinnedViews|U(Cnt)|     BaseBlock     | FileName \n"

	unknownText = "<UNKNOWN>"
)

func regHiveList(ctx context.Context, s *Session, r *registry.Registry, _ *Call) error {
	rule := strings.Repeat("-", hiveRule) + "\n"
	s.printf("\n%s%s%s", rule, hiveHeader, rule)
	var broken error
	for h, err := range r.Hives() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			broken = err
			break
		}
		s.hiveRow(h)
	}
	s.printf("%s", rule)
	if broken != nil {
		s.notef("%v", broken)
	}
	return nil
}

func (s *Session) hiveRow(h *registry.Hive) {
	if signature, err := h.Signature(); err != nil || signature != registry.HiveSignature {
		s.printf("Invalid Hive signature: %x\n", signature)
		return
	}
	stable, err := h.Storage(registry.Stable)
	volatile, verr := h.Storage(registry.Volatile)
	base, berr := h.BaseBlock()
	if err := errors.Join(err, verr, berr); err != nil {
		s.notef("%v", err)
	}
	name, err := h.FileName()
	switch {
	case err != nil:
		s.notef("hive %x: %v", h.Addr(), err)
		name = unknownText
	case name == "":
		name = "<NONAME>"
	}
	s.printf("| %016x | %10x  | %016x | %10x    |  %016x  |", h.Addr(), stable.Length, stable.Map, volatile.Length, volatile.Map)
	if uses, err := h.Object().Field("UseCount").Uint(); err == nil { // older builds count the uses of views
		s.printf(" %5d|", uses)
	}
	s.printf(" %016x  | %s\n", base, visible(name))
}

const keyRule = "===========================================================================================\n"

func regOpenKeys(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	addr, err := s.extensionNumber(c)
	if err != nil {
		return err
	}
	hives := []*registry.Hive{nil}
	if addr != 0 {
		h := r.Hive(addr)
		if signature, err := h.Signature(); err != nil || signature != registry.HiveSignature {
			return Failf("Invalid Hive signature: %x", signature)
		}
		hives[0] = h
	} else if s.sys.Struct("_CMHIVE", 0).Has("KcbCacheTable") {
		hives = nil
		for h, err := range r.Hives() {
			if err != nil {
				s.notef("%v", err)
				break
			}
			hives = append(hives, h)
		}
	}
	for _, h := range hives {
		if err := s.showOpenKeys(ctx, r, h); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) showOpenKeys(ctx context.Context, r *registry.Registry, h *registry.Hive) error {
	s.printf("\n")
	if h != nil {
		s.printf("Hive: %s\n", visible(h.Path()))
	}
	s.printf("%s", keyRule)
	g := gaps{s: s}
	defer g.end()
	count, bucket := 0, ^uint64(0)
	for b, err := range r.OpenKeys(ctx, h) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			g.add(err)
			continue
		}
		count++
		if b.Bucket != bucket {
			bucket = b.Bucket
			s.printf("Index %x: ", bucket)
		}
		hash, err := b.Hash()
		cell, cerr := b.Cell()
		flags, ferr := b.FlagWord()
		path, perr := b.Path()
		if err := errors.Join(err, cerr, ferr, perr); err != nil {
			g.add(err)
		}
		s.printf(" %08x kcb=%016x cell=%08x f=%08x %s\n", hash, b.Addr(), uint32(cell), flags, visible(path))
	}
	s.printf("%s0x%x keys found\n", keyRule, count)
	return nil
}

func regQueryKey(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	return s.queryKey(ctx, r, registry.CleanPath(strings.Trim(c.rest(), `"`)))
}

// queryKey shows a key by its path.
func (s *Session) queryKey(ctx context.Context, r *registry.Registry, path string) error {
	var k *registry.Key
	b, err := r.FindControlBlock(ctx, path)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		full, _ := b.Path() // it was compared
		s.printf("\nFound KCB = %016x :: %s\n", b.Addr(), visible(full))
		if k, err = b.Key(); err != nil {
			s.notef("%v", err)
		}
	} else {
		s.printf("\n\nSorry <%s> is not cached \n\n%sFalling back to traversing the tree of nodes.\n", visible(strings.ToLower(path)), keyRule)
		if k, err = r.Lookup(ctx, path); err == nil && k.Flags&registry.KeySymLink != 0 {
			if target, err := k.LinkTarget(ctx); err == nil {
				s.notef("%s is a symbolic link to %s", path, target)
			}
		} else if err != nil {
			s.printf("\n")
			s.notef("%v", err)
			return Failf("Could not find %s", path)
		}
	}
	if k == nil {
		return Failf("Could not read the key node of %s", path)
	}
	s.printf("\nHive         %016x\nKeyNode      %016x\n\n", k.Hive.Addr(), k.Addr)
	return s.showKey(ctx, k)
}

func regKeyInfo(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	k, err := s.regKey(r, c)
	if err != nil {
		return err
	}
	path, err := k.Path()
	if err != nil {
		s.notef("%v", err)
	}
	s.printf("\nKeyPath %s\n\n", visible(path))
	return s.showKey(ctx, k)
}

// regKey takes the addresses of a hive and of a key node in it.
func (s *Session) regKey(r *registry.Registry, c *Call) (*registry.Key, error) {
	h, err := s.regHive(r, c)
	if err != nil {
		return nil, err
	}
	if c.Args.Done() {
		return nil, Failf("the address of a key node is missing")
	}
	addr, err := s.extensionNumber(c)
	if err != nil {
		return nil, err
	}
	k, err := h.KeyAt(addr)
	if err != nil {
		s.notef("%v", err)
		return nil, Failf("Could not read the key node at %016x", addr)
	}
	if k.Flags&registry.KeyHiveExit != 0 {
		if k, err = k.Exit(); err != nil {
			s.notef("%v", err)
			return nil, Failf("Could not read the key node at %016x", addr)
		}
		s.notef("%x leads to the hive %x, whose root is shown", addr, k.Hive.Addr())
	}
	return k, nil
}

// showKey prints the sub keys and values of a key.
func (s *Session) showKey(ctx context.Context, k *registry.Key) error {
	n, err := s.showSubKeys(ctx, k)
	if err != nil {
		return err
	}
	if n > 0 {
		s.printf("\n Use '!reg keyinfo %x <SubKeyAddr>' to dump the subkey details\n", k.Hive.Addr())
	}
	s.printf("\n")
	return s.showValues(ctx, k)
}

func (s *Session) showSubKeys(ctx context.Context, k *registry.Key) (int, error) {
	g := gaps{s: s}
	defer g.end()
	count := 0
	for storage, title := range []string{"[SubKeyName]", "[VolatileSubKeyName]"} {
		here := 0
		for sub, err := range k.SubKeysIn(ctx, registry.Storage(storage)) {
			if ctx.Err() != nil {
				return count, ctx.Err()
			}
			if here == 0 {
				if count > 0 {
					s.printf("\n")
				}
				s.printf("%-21s%s\n", "[SubKeyAddr]", title)
			}
			here++
			count++
			if err == nil {
				s.printf("%-21x%s\n", sub.Addr, visible(sub.Name))
				continue
			}
			g.add(err)
			var damage *registry.Damage
			if errors.As(err, &damage) && damage.Addr != 0 {
				s.printf("%-21x%s\n", damage.Addr, unknownText)
			}
		}
	}
	if count == 0 {
		s.printf("%-21s%s\n Key has no SubKeys\n", "[SubKeyAddr]", "[SubKeyName]")
	}
	return count, nil
}

func regSubKeyList(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	k, err := s.regKey(r, c)
	if err != nil {
		return err
	}
	s.printf("\n")
	_, err = s.showSubKeys(ctx, k)
	return err
}

func regFindKCB(ctx context.Context, s *Session, r *registry.Registry, c *Call) error {
	path := registry.CleanPath(strings.Trim(c.rest(), `"`))
	b, err := r.FindControlBlock(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, registry.ErrNotOpen) {
			s.notef("%v", err)
		}
		return Failf("\nSorry <%s> is not cached ", visible(strings.ToLower(path)))
	}
	full, _ := b.Path() // it was compared
	s.printf("\nFound KCB = %016x :: %s\n", b.Addr(), visible(full))
	return nil
}
