/* The part of kernel32 that user stacks of a dump pass through. */
#include "win.h"
IMPORTED NTSTATUS NtWaitForSingleObject(HANDLE, UCHAR, ULONG64 *);
IMPORTED NTSTATUS NtWaitForMultipleObjects(ULONG, HANDLE *, ULONG, UCHAR, ULONG64 *);
IMPORTED NTSTATUS NtDelayExecution(UCHAR, ULONG64 *);
IMPORTED NTSTATUS NtRemoveIoCompletion(HANDLE, PVOID *, PVOID *, PVOID, ULONG64 *);
IMPORTED NTSTATUS NtReadFile(HANDLE, HANDLE, PVOID, PVOID, PVOID, PVOID, ULONG);
IMPORTED void RtlExitUserThread(NTSTATUS);

EXPORTED NOINLINE ULONG BaseThreadInitThunk(ULONG reason, THREAD_START start, PVOID parameter)
{
    if (reason) return 0;
    ULONG status = start(parameter);
    RtlExitUserThread((NTSTATUS)status);
    return status;
}

EXPORTED NOINLINE ULONG WaitForSingleObjectEx(HANDLE handle, ULONG milliseconds, BOOL alertable)
{
    ULONG64 due[2] = {milliseconds * 10000ull};
    return (ULONG)NtWaitForSingleObject(handle, (UCHAR)alertable, due) + (ULONG)due[1];
}

EXPORTED NOINLINE ULONG WaitForMultipleObjectsEx(ULONG count, HANDLE *handles, BOOL all, ULONG milliseconds, BOOL alertable)
{
    ULONG64 due[5] = {milliseconds * 10000ull};
    return (ULONG)NtWaitForMultipleObjects(count, handles, !all, (UCHAR)alertable, due) + (ULONG)due[1];
}

EXPORTED NOINLINE void Sleep(ULONG milliseconds)
{
    ULONG64 due[3] = {milliseconds * 10000ull};
    while (NtDelayExecution(0, due) == 0xc0) due[0]++;
}

EXPORTED NOINLINE BOOL GetQueuedCompletionStatus(HANDLE port, ULONG *bytes, ULONG64 *key, PVOID *overlapped, ULONG milliseconds)
{
    ULONG64 status[2] = {0}, due = milliseconds;
    NTSTATUS s = NtRemoveIoCompletion(port, (PVOID *)key, overlapped, status, &due);
    *bytes = (ULONG)status[1];
    return s == 0;
}

EXPORTED NOINLINE BOOL ReadFile(HANDLE file, PVOID buffer, ULONG length, ULONG *read, PVOID overlapped)
{
    ULONG64 status[2] = {0};
    NTSTATUS s = NtReadFile(file, 0, 0, overlapped, status, buffer, length);
    *read = (ULONG)status[1];
    return s == 0;
}
