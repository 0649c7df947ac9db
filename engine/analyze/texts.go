package analyze

// descriptions say in a few lines what a bug check means.
var descriptions = map[uint32][]string{
	0xa: {
		"The kernel or a driver accessed pageable or invalid memory at an interrupt", "request level (IRQL) that is too high. Usually a driver used a bad address.",
	},
	0x1a:  {"The memory manager found its own data damaged."},
	0x19:  {"A pool block's header is damaged, or a block was freed that is none."},
	0x1e:  {"Code in kernel mode raised an exception that no handler took."},
	0x3b:  {"An exception happened in a system service, and no handler took it."},
	0x4e:  {"The list of physical pages is damaged, often by a driver that passed a bad", "list of pages."},
	0x50:  {"Memory was accessed that is invalid, and that may not be paged out.", "The address is bad, or it points at memory that was freed."},
	0x7e:  {"A system thread raised an exception that no handler took."},
	0x7f:  {"The processor met a trap that the kernel must not meet, as a double fault."},
	0x8e:  {"Code in kernel mode raised an exception that no handler took."},
	0x9f:  {"A driver keeps the system from changing its power state: a power request", "was not completed in time."},
	0xc2:  {"The caller made a bad request of the pool."},
	0xc5:  {"Pool memory is damaged: a driver wrote outside of its block."},
	0xd1:  {"A driver accessed pageable or invalid memory at an interrupt request level", "(IRQL) that is too high. Usually it used a bad address."},
	0xe2:  {"The user manually initiated this crash dump."},
	0xef:  {"A process that the system cannot run without has ended."},
	0xf4:  {"A process or thread that the system cannot run without has ended or was", "terminated."},
	0x116: {"The display driver did not come back from a reset in time."},
	0x124: {"The hardware reported an error that cannot be corrected."},
	0x133: {"A processor spent too long in deferred procedure calls, or at an interrupt", "request level of DISPATCH_LEVEL and above."},
	0x139: {"The kernel found one of its data structures damaged, which an attacker", "could have used."},
	0x154: {"The store component met an exception it did not expect."},
	0x1c8: {"The user held the power button until the system made this crash dump."},
	0xc000021a: {
		"A process of the user-mode subsystem has ended that the system cannot run", "without.",
	},
}

// nextSteps are what to look at next.
func nextSteps(b BugCheck) []string {
	switch {
	case b.Deliberate():
		return []string{
			"!vm 1: does memory run out, and which process holds it",
			"!mex.tlist, !process 0 0: what was running; HandleCount and commit per process",
			"!running -it, !ready: what the processors do",
			"!stacks 1, !locks: who waits, and for whom",
			"!poolused 2: kernel memory by tag",
		}
	case b.Plain() == 0x9f:
		return []string{"!irp of the fourth argument, !devstack of the second: which driver holds the request"}
	case b.Plain() == 0xc5, b.Plain() == 0xc2, b.Plain() == 0x19:
		return []string{"!pool of the address in the arguments: the blocks before the damaged one"}
	}
	return nil
}
