/* kernel32 of 32-bit programs. */
#include "win.h"
#define STDCALL __attribute__((stdcall))
IMPORTED NTSTATUS STDCALL NtWaitForSingleObject(PVOID, UCHAR, PVOID);
IMPORTED NTSTATUS STDCALL NtDelayExecution(UCHAR, PVOID);

NOINLINE ULONG STDCALL BaseThreadInitThunk(ULONG reason, ULONG (STDCALL *start)(PVOID), PVOID parameter)
{
    volatile ULONG result = reason;
    result += start(parameter);
    return result;
}
NOINLINE ULONG STDCALL WaitForSingleObjectEx(PVOID handle, ULONG ms, ULONG alertable)
{
    long long due = (long long)ms * -10000;
    NTSTATUS s = NtWaitForSingleObject(handle, (UCHAR)alertable, ms == ~0u ? 0 : &due);
    return s + (ULONG)due;
}
NOINLINE void STDCALL Sleep(ULONG ms)
{
    long long due[2] = {(long long)ms * -10000};
    NtDelayExecution(0, due);
    due[1]++;
}
