/* Ferry: two threads take two locks in opposite order and wait for ever. */
#include "win.h"
IMPORTED NTSTATUS RtlEnterCriticalSection(CRITICAL_SECTION *);
IMPORTED NTSTATUS RtlLeaveCriticalSection(CRITICAL_SECTION *);
IMPORTED ULONG WaitForMultipleObjectsEx(ULONG, HANDLE *, BOOL, ULONG, BOOL);

CRITICAL_SECTION DeckLock = {(PVOID)~0ull, -1, 0, 0, 0, 0x20007d0};
CRITICAL_SECTION RampLock = {(PVOID)~0ull, -1, 0, 0, 0, 0x20007d0};
ULONG CarsOnDeck = 12, CarsOnRamp = 3;

NOINLINE ULONG MoveCars(CRITICAL_SECTION *from, CRITICAL_SECTION *to, ULONG cars)
{
    RtlEnterCriticalSection(from);
    RtlEnterCriticalSection(to);
    ULONG moved = cars < CarsOnDeck ? cars : CarsOnDeck;
    RtlLeaveCriticalSection(to);
    RtlLeaveCriticalSection(from);
    return moved;
}

NOINLINE ULONG LoadingThread(PVOID cars) { return MoveCars(&RampLock, &DeckLock, (ULONG)(ULONG64)cars) + 1; }
NOINLINE ULONG UnloadingThread(PVOID cars) { return MoveCars(&DeckLock, &RampLock, (ULONG)(ULONG64)cars) + 2; }

NOINLINE ULONG mainCRTStartup(PVOID peb)
{
    HANDLE crew[2] = {(HANDLE)0x50, (HANDLE)0x54};
    ULONG r = WaitForMultipleObjectsEx(2, crew, 1, ~0u, 0);
    return r + (peb != 0);
}
