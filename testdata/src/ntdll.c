/* The part of ntdll that user stacks of a dump pass through. */
#include "win.h"

/* Stubs have the shape of the real ones: the call returns to stub+0x14. */
#define STUB(name, nr) __asm__(".text\n.globl " #name "\n.def " #name "; .scl 2; .type 32; .endef\n.p2align 4\n" #name ":\n" \
  "movq %rcx, %r10\nmovl $" #nr ", %eax\ntestb $1, 0x7ffe0308\njne 1f\nsyscall\nret\n1: int $0x2e\nret\n.p2align 4\n")
STUB(NtWaitForSingleObject, 0x4);
STUB(NtReadFile, 0x6);
STUB(NtRemoveIoCompletion, 0x9);
STUB(NtDelayExecution, 0x34);
STUB(NtWaitForMultipleObjects, 0x5b);
STUB(NtAlpcSendWaitReceivePort, 0x8d);
STUB(NtWaitForAlertByThreadId, 0x1d5);
STUB(NtWaitForWorkViaWorkerFactory, 0x1d8);
STUB(NtTerminateThread, 0x53);
NTSTATUS NtWaitForAlertByThreadId(PVOID address, ULONG64 *due);
NTSTATUS NtWaitForWorkViaWorkerFactory(HANDLE factory, PVOID info, ULONG count, ULONG *returned);
NTSTATUS NtTerminateThread(HANDLE thread, NTSTATUS status);

/* Filled by the dump writer. */
UCHAR PebLdr[0x58] = {0x58, 0, 0, 0, 1};
UCHAR FastPebLock[0x28] = {1};
ULONG (*Kernel32ThreadInitThunkFunction)(ULONG, THREAD_START, PVOID) = (PVOID)1;

EXPORTED NOINLINE void RtlExitUserThread(NTSTATUS status) { for (;;) NtTerminateThread(0, status); }

EXPORTED NOINLINE void RtlUserThreadStart(THREAD_START start, PVOID parameter)
{
    volatile ULONG64 keep[6];
    keep[0] = (ULONG64)start;
    ULONG status = Kernel32ThreadInitThunkFunction(0, start, parameter);
    RtlExitUserThread((NTSTATUS)(status + (ULONG)keep[1]));
}

EXPORTED NOINLINE ULONG TppWorkerThread(PVOID pool)
{
    ULONG64 info[40];
    ULONG returned = 0;
    NTSTATUS status = NtWaitForWorkViaWorkerFactory(pool, info, 16, &returned);
    return (ULONG)status + returned + (ULONG)info[3];
}

NOINLINE NTSTATUS RtlpWaitOnCriticalSection(CRITICAL_SECTION *section, ULONG tries)
{
    volatile ULONG64 state[5];
    state[0] = tries;
    while (section->OwningThread) {
        NTSTATUS status = NtWaitForAlertByThreadId(section, 0);
        if (status < 0) return status + (NTSTATUS)state[1];
    }
    return 0;
}

NOINLINE NTSTATUS RtlpEnterCriticalSectionContended(CRITICAL_SECTION *section)
{
    volatile ULONG64 state[8];
    state[0] = section->SpinCount;
    return RtlpWaitOnCriticalSection(section, (ULONG)state[0]) + (NTSTATUS)state[1];
}

EXPORTED NOINLINE NTSTATUS RtlEnterCriticalSection(CRITICAL_SECTION *section)
{
    if (section->OwningThread) return RtlpEnterCriticalSectionContended(section) + 1;
    section->LockCount = -2;
    section->RecursionCount = 1;
    return 0;
}

EXPORTED NOINLINE NTSTATUS RtlLeaveCriticalSection(CRITICAL_SECTION *section)
{
    section->OwningThread = 0;
    section->LockCount = -1;
    return section->RecursionCount = 0;
}

ULONG64 RtlpLFHKey = 1; /* of the heaps' front end */

EXPORTED NOINLINE PVOID RtlAllocateHeap(PVOID heap, ULONG flags, SIZE_T size)
{
    volatile ULONG64 state[6];
    state[0] = size + flags;
    return (PVOID)((ULONG64)heap + state[0]);
}

void (*Wow64LdrpInitializeRoutine)(PVOID) = (PVOID)1;

NOINLINE void LdrpInitialize(PVOID context)
{
    volatile ULONG64 state[10];
    state[0] = (ULONG64)context;
    Wow64LdrpInitializeRoutine((PVOID)state[0]);
    state[1]++;
}

EXPORTED NOINLINE void LdrInitializeThunk(PVOID context)
{
    volatile ULONG64 state[2];
    state[0] = (ULONG64)context;
    LdrpInitialize((PVOID)state[0]);
    RtlExitUserThread((NTSTATUS)state[1]);
}
