/* A 32-bit program, without frame pointers: its stacks need the PDB's frame data. */
#include "win.h"
#define STDCALL __attribute__((stdcall))
IMPORTED ULONG STDCALL WaitForSingleObjectEx(PVOID handle, ULONG ms, ULONG alertable);
IMPORTED void STDCALL Sleep(ULONG ms);
ULONG LedgerYear = 2023, LedgerRows[16] = {1};
PVOID LedgerChanged = (PVOID)0x84;

NOINLINE ULONG AddRow(ULONG row) { LedgerRows[row & 15] += LedgerYear; return LedgerRows[row & 15]; }
NOINLINE ULONG STDCALL AwaitChange(ULONG *rows, ULONG count)
{
    ULONG copy[9];
    for (ULONG i = 0; i < 9; i++)
        copy[i] = rows[i % count];
    ULONG status = WaitForSingleObjectEx(LedgerChanged, ~0u, 0);
    ULONG sum = AddRow(status);
    for (ULONG i = 0; i < 9; i++)
        sum += copy[i] ^ rows[i % count];
    return sum;
}
NOINLINE ULONG RunLedger(ULONG year)
{
    ULONG sum = year;
    for (;;)
        sum += AwaitChange(LedgerRows, 16) * year;
}
NOINLINE ULONG STDCALL LedgerThread(PVOID parameter)
{
    ULONG sum = 0;
    for (ULONG i = 0; i < 9; i++) {
        sum += AddRow(i + (ULONG)parameter);
        Sleep(sum);
    }
    return sum;
}
NOINLINE int mainCRTStartup(void) { return RunLedger(LedgerYear) == 7; }
