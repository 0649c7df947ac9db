/* Switches between 64-bit and 32-bit code. */
#include "win.h"
NTSTATUS (*Wow64ServiceRoutine)(ULONG, ULONG *) = (PVOID)1;
NTSTATUS ServiceNoTurbo(PVOID context);

EXPORTED NOINLINE void BTCpuSimulate(PVOID context)
{
    volatile ULONG64 state[3];
    state[0] = (ULONG64)context;
    for (;;) state[1] += ServiceNoTurbo((PVOID)state[0]);
}

NOINLINE NTSTATUS ServiceNoTurbo(PVOID context)
{
    ULONG arguments[12] = {(ULONG)(ULONG64)context};
    return Wow64ServiceRoutine(arguments[0], arguments) + (NTSTATUS)arguments[5];
}
