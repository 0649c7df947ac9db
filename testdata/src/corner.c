/* Corner: functions whose frames are unusual, for stack walks. */
#include "win.h"
IMPORTED void Sleep(ULONG);

ULONG CornerLeaf(ULONG value);
ULONG CornerChained(ULONG value);
ULONG CornerXmm(ULONG value);
volatile ULONG CornerCount = 1;

/* A frame that takes the long form of the allocation code. */
NOINLINE ULONG CornerLarge(ULONG value)
{
    volatile ULONG space[3000];
    space[value & 1023] = value;
    Sleep(value);
    return space[7];
}

/* More than 512 KB: the longest form. */
NOINLINE ULONG CornerHuge(ULONG value)
{
    volatile ULONG space[150000];
    space[value & 1023] = value;
    return CornerLarge(value) + space[9];
}

/* A frame of variable size, with a frame register. */
NOINLINE ULONG CornerVariable(ULONG count)
{
    volatile ULONG *space = __builtin_alloca(count * 4);
    space[0] = count;
    return CornerHuge(count) + space[count - 1];
}

/* All registers that a callee must keep. */
NOINLINE ULONG CornerMany(ULONG a, ULONG b, ULONG c, ULONG d)
{
    ULONG e = CornerVariable(a + 16), f = CornerVariable(b), g = CornerVariable(c), h = CornerVariable(d);
    ULONG i = CornerCount, j = CornerCount;
    CornerCount = CornerChained(a);
    return a * b + c * d + e * f + g * h + i * j + CornerVariable(e) + CornerVariable(i + j);
}

NOINLINE ULONG CornerThread(PVOID parameter)
{
    ULONG n = (ULONG)(ULONG64)parameter;
    return CornerMany(n, n + 1, n + 2, n + 3) + CornerXmm(n) + CornerLeaf(n);
}

NOINLINE ULONG mainCRTStartup(PVOID peb)
{
    for (;;) { Sleep(1000); if (CornerCount > 5) return peb != 0; }
}
