/* A keyboard driver: the crash by hand comes from here. */
#include "win.h"
IMPORTED void KeBugCheckEx(ULONG code, ULONG64 a, ULONG64 b, ULONG64 c, ULONG64 d);

struct KeypadExtension { ULONG64 scancodes[4]; ULONG pressed; } KeypadState = {{0x1d, 0x46}, 2};

NOINLINE void KeypadCheckCrashKeys(struct KeypadExtension *e)
{
    volatile ULONG64 seen[6];
    seen[0] = e->scancodes[0];
    if (e->pressed >= 2) KeBugCheckEx(0xe2, 0, 0, 0, 0);
    e->pressed = (ULONG)seen[1];
}

NOINLINE NTSTATUS KeypadInterruptService(PVOID interrupt)
{
    volatile ULONG64 status[4];
    status[0] = (ULONG64)interrupt;
    KeypadCheckCrashKeys(&KeypadState);
    return (NTSTATUS)status[1];
}

NTSTATUS DriverEntry(PVOID driver) { return driver ? KeypadInterruptService(driver) : 0; }
