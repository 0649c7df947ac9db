/* The little of Windows that the test programs and the test kernel need. */
#pragma once
typedef unsigned char UCHAR;
typedef unsigned short USHORT;
typedef unsigned long ULONG;
typedef long LONG, NTSTATUS, BOOL;
typedef unsigned long long ULONG64, SIZE_T;
typedef void *HANDLE, *PVOID;
typedef ULONG (*THREAD_START)(PVOID);

#define NOINLINE __attribute__((noinline))
#define EXPORTED __declspec(dllexport)
#define IMPORTED __declspec(dllimport)

typedef struct _CRITICAL_SECTION {
    PVOID DebugInfo;
    LONG LockCount, RecursionCount;
    HANDLE OwningThread, LockSemaphore;
    ULONG64 SpinCount;
} CRITICAL_SECTION;
