package command

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kdap/internal/truth"
)

// heapTruth is the part of lab19041.json about heaps.
type heapTruth struct {
	Processes []struct {
		Name, EPROCESS string
		Heaps          []heapTruthHeap
		HeapKeys       struct{ RtlpLFHKey string }
	}
	HeapDamage struct{ Broken string }
}

type heapTruthHeap struct {
	Type, Base string
	Index      int
	Flags      uint64
	Lock       string
	MaxAlloc   uint64 `json:"max_allocation"`
	Reserve    uint64 `json:"segment_reserve"`
	FreeUnits  uint64 `json:"total_free_units"`
	Segments   []struct {
		Index            int
		Base, End        string
		Committed, Pages uint64
		Uncommitted      uint64 `json:"uncommitted_pages"`
		UCRs             []struct {
			Start string
			Size  uint64
		}
		Entries []struct {
			Addr        string
			PSize, Size uint64
			Flags       uint64
			State       string
			Requested   uint64
			Last        bool
		}
	}
	Row struct {
		Flags, Reserv, Commit, Virt, Free, UCR uint64
		ListLength                             uint64 `json:"list_length"`
		VirtualBlocks                          uint64 `json:"virtual_blocks"`
		LFH                                    bool
	} `json:"stat_row"`
	FreeList []struct {
		Addr string
		Size uint64
	} `json:"free_list"`
	Summary     []struct{ Size, Blocks, Total uint64 }
	Allocations []struct {
		Kind, State, Entry, User string
		Requested, Total         uint64
		Segment, Subsegment      string
	}
}

func num(t *testing.T, text string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// labHeaps reads the truth and gives each process with heaps to check, in a
// session that stands in it.
func labHeaps(t *testing.T, check func(s *Session, heaps []heapTruthHeap)) {
	t.Helper()
	var want heapTruth
	truth.JSON(t, &want, "dumps", "lab19041.json")
	s := labSession(t)
	for _, p := range want.Processes {
		// notepad's first heap and SearchIndexer's PEB are out.
		if len(p.Heaps) == 0 || p.Name == "notepad.exe" || p.Name == "SearchIndexer.exe" {
			continue
		}
		answer(s, ".process /p "+p.EPROCESS)
		check(s, p.Heaps)
	}
}

// within fails unless the lines stand in the answer one after the other.
func within(t *testing.T, line, got string, lines []string) {
	t.Helper()
	if want := strings.Join(lines, "\n") + "\n"; !strings.Contains(got, want) {
		t.Errorf("%s: got\n%s\nwithout\n%s", line, got, want)
	}
}

// TestHeapList compares with the layout of reference/transcripts.md, 26.
func TestHeapList(t *testing.T) {
	labHeaps(t, func(s *Session, heaps []heapTruthHeap) {
		want := "        Heap Address      NT/Segment Heap\n\n"
		for _, h := range heaps {
			want += fmt.Sprintf("%20s%21s\n", h.Base[2:], h.Type)
		}
		if got := answer(s, "!heap"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// TestHeapAll compares -a with the layout of reference/transcripts.md, 26, and
// the values of lab19041.json. The one broken header of the dump has no line.
func TestHeapAll(t *testing.T) {
	var damage heapTruth
	truth.JSON(t, &damage, "dumps", "lab19041.json")
	labHeaps(t, func(s *Session, heaps []heapTruthHeap) {
		for _, h := range heaps {
			if h.Type != "NT Heap" {
				continue
			}
			line := fmt.Sprintf("!heap -a %s", h.Base)
			got := answer(s, line)
			head := []string{
				"HEAPEXT: Unable to get address of ntdll!RtlpHeapInvalidBadAddress.",
				"Index   Address  Name      Debugging options enabled",
				fmt.Sprintf("%3d:   %s ", h.Index, h.Base[2:]),
			}
			for _, s := range h.Segments {
				head = append(head, fmt.Sprintf("    Segment at %016x to %016x (%08x bytes committed)", num(t, s.Base), num(t, s.End), s.Committed))
			}
			head = append(
				head,
				fmt.Sprintf("    Flags:                %08x", h.Flags),
				"    ForceFlags:           00000000",
				"    Granularity:          16 bytes",
				fmt.Sprintf("    Segment Reserve:      %08x", h.Reserve),
				"    Segment Commit:       00002000",
			)
			within(t, line, got, head)
			within(t, line, got, []string{
				fmt.Sprintf("    Total Free Size:      %08x", h.FreeUnits),
				fmt.Sprintf("    Max. Allocation Size: %016x", h.MaxAlloc),
				fmt.Sprintf("    Lock Variable at:     %016x", num(t, h.Lock)),
				"    Next TagIndex:        0000",
				"    Maximum TagIndex:     0000",
			})
			for _, f := range h.FreeList {
				if !strings.Contains(got, fmt.Sprintf(" %016x: ", num(t, f.Addr))) {
					t.Errorf("%s: free block %s is missing", line, f.Addr)
				}
			}
			for _, seg := range h.Segments {
				within(t, line, got, []string{
					fmt.Sprintf("        Last Entry:      %s", seg.End[2:]),
					fmt.Sprintf("        Total Pages:     %08x", seg.Pages),
					fmt.Sprintf("        Total UnCommit:  %08x", seg.Uncommitted),
					"        Largest UnCommit:00000000",
					fmt.Sprintf("        UnCommitted Ranges: (%d)", len(seg.UCRs)),
				})
				rows := []string{
					fmt.Sprintf("    Heap entries for Segment%02d in Heap %016x", seg.Index, num(t, h.Base)),
					"                 address: psize . size  flags   state (requested size)",
				}
				for _, e := range seg.Entries {
					if e.Addr == damage.HeapDamage.Broken {
						continue
					}
					addr := num(t, e.Addr)
					flags := e.Flags&^8 | 0x100
					ends := addr+e.Size == num(t, seg.End)
					for _, u := range seg.UCRs {
						ends = ends || addr+e.Size == num(t, u.Start)
					}
					if ends {
						flags |= 0x10
					}
					row := fmt.Sprintf("        %016x: %05x . %05x [%03x]", addr, e.PSize, e.Size, flags)
					switch e.State {
					case "internal":
						row += fmt.Sprintf(" - busy (%x) Internal ", e.Requested)
					case "free":
					default:
						row += fmt.Sprintf(" - busy (%x)", e.Requested)
					}
					rows = append(rows, row)
					for _, u := range seg.UCRs {
						if num(t, u.Start) == addr+e.Size {
							rows = append(rows, fmt.Sprintf("        %016x:      %08x      - uncommitted bytes.", num(t, u.Start), u.Size))
						}
					}
				}
				within(t, line, got, rows)
			}
		}
	})
}

// TestHeapSummary compares with the layout of reference/commands/heap.md.
func TestHeapSummary(t *testing.T) {
	labHeaps(t, func(s *Session, heaps []heapTruthHeap) {
		got := answer(s, "!heap -s")
		var rows []string
		for _, h := range heaps {
			if h.Type != "NT Heap" {
				continue
			}
			fast := "   "
			if h.Row.LFH {
				fast = "LFH"
			}
			rows = append(rows, fmt.Sprintf("%016x %08x %7d %6d %6d %6d %5d %5d %4d      0   %s", num(t, h.Base), h.Row.Flags,
				h.Row.Reserv, h.Row.Commit, h.Row.Virt, h.Row.Free, h.Row.ListLength, h.Row.UCR, h.Row.VirtualBlocks, fast))
		}
		within(t, "!heap -s", got, append([]string{
			"          Heap     Flags   Reserv  Commit  Virt   Free  List   UCR  Virt  Lock  Fast ",
			"                            (k)     (k)    (k)     (k) length      blocks cont. heap ",
			heapLine,
		}, rows...))
	})
}

// TestHeapBlocks asks for single blocks and sizes.
func TestHeapBlocks(t *testing.T) {
	seen := map[string]bool{}
	labHeaps(t, func(s *Session, heaps []heapTruthHeap) {
		for _, h := range heaps {
			if h.Type != "NT Heap" {
				continue
			}
			for _, a := range h.Allocations {
				if seen[a.Kind] || a.State != "busy" {
					continue
				}
				seen[a.Kind] = true
				inside := num(t, a.User) + a.Requested/2
				segment, flags := a.Segment, "busy "
				if a.Kind == "lfh" {
					segment, flags = a.Subsegment, "LFH;busy "
				}
				if a.Kind != "virtual" {
					line := fmt.Sprintf("!heap -x %x", inside)
					got := answer(s, line)
					within(t, line, got, []string{"Entry             User              Heap              Segment               Size  PrevSize  Unused    Flags", strings.Repeat("-", 109)})
					row := strings.Fields(strings.Split(got, "\n")[2])
					want := []string{a.Entry, a.User, h.Base, segment}
					for i, w := range want {
						if v := num(t, "0x"+row[i]); v != num(t, w) {
							t.Errorf("%s: column %d is %x, want %s", line, i, v, w)
						}
					}
					if row[4] != fmt.Sprintf("%x", a.Total) || row[6] != fmt.Sprintf("%x", a.Total-a.Requested) || row[7] != strings.TrimSpace(flags) {
						t.Errorf("%s: got %q", line, row)
					}
				}
				line := fmt.Sprintf("!heap -p -a %x", inside)
				within(t, line, answer(s, line), []string{fmt.Sprintf("    address %016x found in", inside), "    _HEAP @ " + h.Base[2:]})
				line = fmt.Sprintf("!heap -flt s %x", a.Requested)
				if got := answer(s, line); !strings.Contains(got, fmt.Sprintf("  [00]   %016x    %05x - (busy", num(t, a.User), a.Requested)) {
					t.Errorf("%s: got\n%s", line, got)
				}
			}
			line := "!heap -stat -h " + h.Base
			got := answer(s, line)
			if len(h.Summary) > 0 && !strings.Contains(got, h.firstRow()) {
				t.Errorf("%s: got\n%s", line, got)
			}
		}
	})
	for _, kind := range []string{"backend", "lfh", "virtual"} {
		if !seen[kind] {
			t.Errorf("no %s block", kind)
		}
	}
}

// firstRow is the first row of -stat.
func (h heapTruthHeap) firstRow() string {
	r := h.Summary[0]
	return fmt.Sprintf("    %x %x - %x  (", r.Size, r.Blocks, r.Total)
}

// TestHeapRefusals: what changes a heap needs a live target.
func TestHeapRefusals(t *testing.T) {
	s := labSession(t)
	answer(s, ".process /p ffffe387110b1080")
	for line, want := range map[string]string{
		"!heap -b":     "!heap -b needs a live target; this is a dump.\n",
		"!heap 12345":  "Invalid heap specified\n",
		"!heap -x 100": "\n",
	} {
		if got := answer(s, line); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}
