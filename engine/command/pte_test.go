package command

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kdap/engine/windows"
)

// TestPTELayout: rows and flags as reference/commands/memory-translation.md has
// them.
func TestPTELayout(t *testing.T) {
	var out bytes.Buffer
	s := &Session{out: &out}
	s.printColumns([]pteColumn{
		{"PXE at FFFFFDFEFF7FBF80", "contains 0000000001208063", []string{pteFrameText(0x1208, 0x1208063)}},
		{"PPE at FFFFFDFEFF7F00C8", "contains 0000000001209063", []string{pteFrameText(0x1209, 0x1209063)}},
		{"PDE at FFFFFDFEFE019CB0", "contains 8A000000012001A1", []string{pteFrameText(0x1200, 0x8A000000012001A1)}},
		{"PTE at FFFFFDFC03396000", "contains 0000000000000000", []string{"LARGE PAGE pfn 1200      "}},
	})
	const want = `
PXE at FFFFFDFEFF7FBF80    PPE at FFFFFDFEFF7F00C8    PDE at FFFFFDFEFE019CB0    PTE at FFFFFDFC03396000
contains 0000000001208063  contains 0000000001209063  contains 8A000000012001A1  contains 0000000000000000
pfn 1208      ---DA--KWEV  pfn 1209      ---DA--KWEV  pfn 1200      -GL-A--KR-V  LARGE PAGE pfn 1200      

`
	if got := "\n" + out.String(); got != want {
		t.Errorf("got%swant%s", got, want)
	}
	for _, c := range []struct {
		e    windows.PTE
		want string
	}{
		{windows.PTE{}, "not valid"},
		{windows.PTE{Kind: windows.PTETransition, PFN: 0xa1b2c, Protection: 4}, "not valid\n Transition: a1b2c\n Protect: 4 - ReadWrite"},
		{windows.PTE{Kind: windows.PTETransition}, "not valid\n Page has been freed"},
		{windows.PTE{Kind: windows.PTEPageFile, PageFile: 2, Offset: 0x1c000, Protection: 4}, "not valid\n PageFile:  2\n Offset: 1c000\n Protect: 4 - ReadWrite"},
		{windows.PTE{Kind: windows.PTEPrototype, Proto: 0xFFFFA5842F4C1A60}, "not valid\n Proto: FFFFA5842F4C1A60\n Protect: 0 - Access unspecified"},
	} {
		if got := strings.Join(pteDetails(c.e), "\n"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestLabTranslation: holes that the reference dump has on purpose
// (lab19041.json, holes) and pages it has.
func TestLabTranslation(t *testing.T) {
	s := labSession(t)
	for _, c := range []struct{ commands, want string }{
		{"!vtop 0 nt", "Amd64VtoP: Virt fffff80451a00000, pagedir 00000000001ad000\nAmd64VtoP: PML4E 00000000001adf80\nAmd64VtoP: PDPE 0000000012ec0088\n" +
			"Amd64VtoP: PDE 0000000012ec1468\nAmd64VtoP: Large page mapped phys 0000000000200000\n" +
			"Virtual address fffff80451a00000 translates to physical address 200000.\n"},
		{"!vtop fce8 ce5f0fe000", ""}, // by frame number
		{"!pte2va ffffe9809c3ad800", "0000013875b00000\n"},
		{"!pte2va 1234", "0000000000001234 is not the address of a PTE"},
		{"!pfn 38b", `    PFN 0000038B at address FFFFA0000000AA10
    flink       00000000  blink / share count 00000001  pteaddress FFFFE9F4FE011468
    reference count 0001    used entry count  0000      Cached    color 0   Priority 5
    restore pte 00000080  containing page 00012EC1  Active     M       
    Modified              
`},
	} {
		got := answer(s, c.commands)
		if c.want == "" {
			c.want = answer(s, strings.Replace(c.commands, "fce8 ", "fce8002 ", 1))
		}
		if strings.TrimSpace(got) != strings.TrimSpace(c.want) {
			t.Errorf("%s: got\n%swant\n%s", c.commands, got, c.want)
		}
	}
	// The states of the holes, in the contexts of their processes.
	for _, c := range []struct {
		pid, va string
		state   string // what !pte says
		vtop    string
	}{
		{"1b70", "18f4f400000", " PageFile:  0\n", "PTE not present, pagefile 0:1a2b3\n"},
		{"e74", "13c1a923000", " Transition: ", "PTE not present, transition\n"},
		{"5b4", "ca83fff000", " DemandZero\n", "PTE not present, pagefile 0:0\n"},
	} {
		var eprocess string
		for p, err := range s.sys.Processes(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if id, _ := p.PID(); fmt.Sprintf("%x", id) == c.pid {
				eprocess = fmt.Sprintf("%x", p.Addr())
			}
		}
		answer(s, ".process /p "+eprocess)
		if got := answer(s, "!pte "+c.va); !strings.Contains(got, "not valid\n") || !strings.Contains(got, c.state) {
			t.Errorf("%s %s:\n%s", c.pid, c.va, got)
		}
		if got := answer(s, "!vtop 0 "+c.va); !strings.Contains(got, c.vtop) || !strings.HasSuffix(got, "Virtual address "+c.va+" translation fails, error 0xD0000147.\n") {
			t.Errorf("%s %s:\n%s", c.pid, c.va, got)
		}
	}
}

// TestCacheRecord replays what WinDbg says to .cache.
func TestCacheRecord(t *testing.T) {
	replay(t, labSession(t), "lab/session.txt", func(command string) bool { return strings.HasPrefix(command, ".cache") })
}

func TestVADLayout(t *testing.T) {
	s := labSession(t)
	answer(s, ".process /p ffffe387110b1080")
	got := answer(s, "!vad")
	// Values: lab19041.json.
	for _, want := range []string{
		"VAD             Level         Start             End              Commit\n",
		vadRowText(0xffffe387203383d0, 1, 0x20a00000, 0x20a04e1f, "20000", "Private", "READWRITE") + "\n",
		vadRowText(0xffffe38720333b00, 4, 0x7ff6336c0, 0x7ff6336c5, "1", "Mapped  Exe", "EXECUTE_WRITECOPY") + `\Users\mara\source\PotionShop\PotionShop.exe` + "\n",
		"\nTotal VADs: 19, average level: 3, maximum depth: 4\nTotal private commit: 0x51e5 pages (83860 KB)\nTotal shared commit:  0x0 pages (0 KB)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	// Rows of reference/commands/memory-translation.md; its first one has a blank less.
	for want, got := range map[string]string{
		"ffffcb0c93d10d20  4         1244e6d0         1244e7ce             239 Private      READWRITE          ": vadRowText(0xffffcb0c93d10d20, 4, 0x1244e6d0, 0x1244e7ce, "239", "Private", "READWRITE"),
		"ffffcb0c8f0f1e60  3        7ff6d4a10        7ff6d4a33               5 Mapped  Exe  EXECUTE_WRITECOPY  ": vadRowText(0xffffcb0c8f0f1e60, 3, 0x7ff6d4a10, 0x7ff6d4a33, "5", "Mapped  Exe", "EXECUTE_WRITECOPY"),
	} {
		if got != want {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
	}
	const vprot = `BaseAddress:       00007ff6336c1000
AllocationBase:    00007ff6336c0000
AllocationProtect: 00000080  PAGE_EXECUTE_WRITECOPY
RegionSize:        0000000000001000
State:             00001000  MEM_COMMIT
Protect:           00000020  PAGE_EXECUTE_READ
Type:              01000000  MEM_IMAGE
`
	if got := answer(s, "!vprot 7ff6336c1000"); got != vprot {
		t.Errorf("!vprot:\n%s", got)
	}
	const address = `Usage:                  Module
Base Address:           fffff804` + "`" + `51a00000
End Address:            fffff804` + "`" + `52a46000
Region Size:            00000000` + "`" + `01046000
VA Type:                BootLoaded
Module name:            ntoskrnl.exe
Module path:            [\SystemRoot\system32\ntoskrnl.exe]
`
	if got := answer(s, "!address nt+1234"); got != address {
		t.Errorf("!address:\n%s", got)
	}
}
