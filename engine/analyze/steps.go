package analyze

import "fmt"

// nextSteps are what to look at next.
func nextSteps(r *Report) []string {
	switch r.Plain() {
	case 0x9f:
		switch r.param(1) {
		case 3:
			return []string{
				fmt.Sprintf("!irp %x: which driver holds the request", r.param(4)),
				fmt.Sprintf("!devstack %x: the drivers of the device", r.param(2)),
			}
		case 4:
			return []string{fmt.Sprintf("!thread %x: the thread that holds the lock of Plug and Play", r.param(3)), "!locks: who waits for whom"}
		}
	case 0xc5, 0xc2, 0x19, 0x13a:
		return []string{"!pool of the address in the arguments: the blocks before the damaged one"}
	case 0x124:
		if at := r.param(2); at != 0 {
			return []string{fmt.Sprintf("!errrec %x: the hardware's own report", at), "!sysinfo machineid, !sysinfo cpuinfo: the machine and its firmware"}
		}
	case 0xef:
		if at := r.param(1); at != 0 {
			return []string{fmt.Sprintf("!process %x 3: what the process was doing", at), "!analyze -v names the thread that ended it by the stack"}
		}
	case 0x101:
		if r.Processor >= 0 {
			return []string{fmt.Sprintf("~%ds; k: the stack of the processor that does not answer", r.Processor), "!running -it: the others"}
		}
	case 0x133:
		return []string{"!running -it: what all processors do", "!dpcs: the calls that wait"}
	case 0xce:
		return []string{"lm: the drivers that were unloaded stand at its end"}
	}
	if r.Deliberate() {
		return []string{
			"!analyze -hang: who waits for whom",
			"!vm 1: does memory run out, and which process holds it",
			"!mex.tlist, !process 0 0: what was running; HandleCount and commit per process",
			"!running -it, !ready: what the processors do",
			"!stacks 1, !locks: what the threads do, which resources are held",
			"!poolused 2: kernel memory by tag",
		}
	}
	return nil
}
