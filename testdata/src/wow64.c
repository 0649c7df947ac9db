/* The 64-bit side of a 32-bit process: what its threads' stacks pass through. */
#include "win.h"
IMPORTED void BTCpuSimulate(PVOID context);
IMPORTED NTSTATUS NtWaitForSingleObject(HANDLE, UCHAR, ULONG64 *);
IMPORTED NTSTATUS NtDelayExecution(UCHAR, ULONG64 *);

NOINLINE NTSTATUS whNtWaitForSingleObject(ULONG *arguments)
{
    ULONG64 due[3] = {arguments[2]};
    return NtWaitForSingleObject((HANDLE)(ULONG64)arguments[0], (UCHAR)arguments[1], due) + (NTSTATUS)due[1];
}

NOINLINE NTSTATUS whNtDelayExecution(ULONG *arguments)
{
    ULONG64 due[3] = {arguments[1]};
    return NtDelayExecution((UCHAR)arguments[0], due) + (NTSTATUS)due[1];
}

EXPORTED NOINLINE NTSTATUS Wow64SystemServiceEx(ULONG number, ULONG *arguments)
{
    volatile ULONG64 state[9];
    state[0] = number;
    NTSTATUS status = number == 0x34 ? whNtDelayExecution(arguments) : whNtWaitForSingleObject(arguments);
    return status + (NTSTATUS)state[1];
}

NOINLINE void RunCpuSimulation(PVOID context) { for (;;) BTCpuSimulate(context); }

EXPORTED NOINLINE void Wow64LdrpInitialize(PVOID context)
{
    volatile ULONG64 state[60];
    state[0] = (ULONG64)context;
    RunCpuSimulation((PVOID)state[0]);
}
