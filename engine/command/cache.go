package command

import (
	"context"
	"strings"
)

// cacheState is what .cache shows. kdap reads the dump by mapping it and needs
// no cache of this kind: what is set here is remembered and shown.
type cacheState struct {
	set    bool
	size   uint64 // bytes; the default until set
	forced string // what is translated before access: "User", "All"
}

// defaultCache is the engine's cache at the start, in bytes.
const defaultCache = 1 << 20

const cacheUsage = `.cache [{cachesize} | hold | unhold
.cache [flushall | flushu | flush addr]
.cache [decodeptes | nodecodeptes]
.cache [forcedecodeptes | forcedecodeuser | noforcedecodeptes]
.cache [decodeprotos | nodecodeprotos]
`

func runCache(_ context.Context, s *Session, c *Call) error {
	st := &s.cache
	switch word := strings.ToLower(c.Peek()); word {
	case "":
	case "hold", "unhold", "flushall", "flushu", "decodeptes", "nodecodeptes", "decodeprotos", "nodecodeprotos":
		c.Word()
	case "flush":
		c.Word()
		if !c.Args.Done() {
			if _, err := s.number(c.Args); err != nil {
				return err
			}
		}
	case "forcedecodeuser", "forcedecodeptes":
		c.Word()
		st.forced = map[string]string{"forcedecodeuser": "User virtual", "forcedecodeptes": "Virtual"}[word]
	case "noforcedecodeptes":
		c.Word()
		st.forced = ""
	default:
		kb, err := s.evaluate(c.Word())
		if err != nil {
			s.printf("%s", cacheUsage)
			return nil
		}
		st.set, st.size = true, kb<<10
	}
	size := st.size
	if !st.set {
		size = defaultCache
	}
	s.printf("\nMax cache size is       : %d bytes ", size)
	if size == 0 {
		s.printf("(0 KB) (cache is off)\n")
	} else {
		s.printf("(%#x KB) \n", size>>10)
	}
	s.printf("Total memory in cache   : 0 bytes (0 KB) \nNumber of regions cached: 0\n0 full reads broken into 0 partial reads\n")
	s.printf("    counts: 0 cached/0 uncached, 0.00%% cached\n    bytes : 0 cached/0 uncached, 0.00%% cached\n")
	s.printf("** Transition PTEs are implicitly decoded\n")
	if st.forced != "" {
		s.printf("** %s addresses are translated to physical addresses before access\n", st.forced)
	}
	s.printf("** Prototype PTEs are implicitly decoded\n")
	return nil
}
