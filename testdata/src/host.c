/* The ordinary programs of a dump: each thread waits for something. */
#include "win.h"
IMPORTED ULONG WaitForSingleObjectEx(HANDLE, ULONG, BOOL);
IMPORTED ULONG WaitForMultipleObjectsEx(ULONG, HANDLE *, BOOL, ULONG, BOOL);
IMPORTED void Sleep(ULONG);
IMPORTED BOOL GetQueuedCompletionStatus(HANDLE, ULONG *, ULONG64 *, PVOID *, ULONG);
IMPORTED BOOL ReadFile(HANDLE, PVOID, ULONG, ULONG *, PVOID);
IMPORTED NTSTATUS NtAlpcSendWaitReceivePort(HANDLE, ULONG, PVOID, PVOID, SIZE_T *, ULONG64 *);

struct Letter { ULONG kind, length; ULONG64 sender; char text[40]; };
volatile ULONG LettersSeen = 1;

NOINLINE ULONG WaitForTheEnd(HANDLE event)
{
    ULONG woke = WaitForSingleObjectEx(event, ~0u, 0);
    return woke + LettersSeen;
}

NOINLINE ULONG AnswerOneLetter(HANDLE port)
{
    struct Letter letter = {3, 5, 0x1001, "hello"};
    SIZE_T n = sizeof letter;
    NTSTATUS status = NtAlpcSendWaitReceivePort(port, 0x20000, &letter, &letter, &n, 0);
    LettersSeen++;
    return (ULONG)status + letter.kind;
}

NOINLINE ULONG LetterThread(PVOID port) { ULONG sum = 0; while (LettersSeen < 100) sum += AnswerOneLetter(port); return sum; }

NOINLINE ULONG CompletionThread(PVOID port)
{
    ULONG n, sum = 0; ULONG64 key; PVOID overlapped;
    while (GetQueuedCompletionStatus(port, &n, &key, &overlapped, ~0u)) sum += n;
    return sum;
}

NOINLINE ULONG WatcherThread(PVOID first)
{
    HANDLE events[3] = {first, (PVOID)((ULONG64)first + 4), (PVOID)((ULONG64)first + 8)};
    return WaitForMultipleObjectsEx(3, events, 0, ~0u, 0) + LettersSeen;
}

NOINLINE ULONG TimerThread(PVOID ms) { ULONG n = 0; do Sleep((ULONG)(ULONG64)ms); while (++n < LettersSeen); return n; }

NOINLINE ULONG ReaderThread(PVOID pipe)
{
    char line[96]; ULONG n = 0;
    ReadFile(pipe, line, sizeof line, &n, 0);
    return n + (ULONG)line[0];
}

NOINLINE ULONG mainCRTStartup(PVOID peb)
{
    volatile PVOID keep = peb;
    ULONG result = WaitForTheEnd((HANDLE)0x44);
    return result + (keep == 0);
}
