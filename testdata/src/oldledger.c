/* A 32-bit program: only its image and symbols are needed. */
typedef unsigned long ULONG;
ULONG LedgerYear = 2023, LedgerRows[16] = {1};
__attribute__((noinline)) ULONG AddRow(ULONG row) { LedgerRows[row & 15] += LedgerYear; return LedgerRows[row & 15]; }
__attribute__((noinline)) ULONG LedgerThread(void *parameter) { ULONG sum = 0; for (ULONG i = 0; i < 9; i++) sum += AddRow(i + (ULONG)parameter); return sum; }
__attribute__((noinline)) int mainCRTStartup(void) { return LedgerThread(0) == 7; }
