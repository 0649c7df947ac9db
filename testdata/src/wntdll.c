/* ntdll of 32-bit programs: its system calls go into the 64-bit side. */
#include "win.h"
#define STDCALL __attribute__((stdcall))
#define NAKED __declspec(naked) NOINLINE
ULONG (STDCALL *Kernel32ThreadInitThunkFunction)(ULONG, PVOID, PVOID);
ULONG PebLdr[12], FastPebLock[6];
PVOID Wow64Transition;

NAKED void Wow64SystemServiceCall(void) { __asm__("jmp *_Wow64Transition"); }
NAKED NTSTATUS STDCALL NtWaitForSingleObject(PVOID handle, UCHAR alertable, PVOID timeout)
{
    __asm__("movl $4, %eax\n movl $_Wow64SystemServiceCall, %edx\n call *%edx\n ret $12");
}
NAKED NTSTATUS STDCALL NtDelayExecution(UCHAR alertable, PVOID interval)
{
    __asm__("movl $0x34, %eax\n movl $_Wow64SystemServiceCall, %edx\n call *%edx\n ret $8");
}
NOINLINE ULONG STDCALL __RtlUserThreadStart(ULONG (STDCALL *start)(PVOID), PVOID parameter)
{
    volatile ULONG state[3];
    state[0] = (ULONG)start;
    return Kernel32ThreadInitThunkFunction(0, (PVOID)state[0], parameter) + state[1];
}
NAKED void STDCALL _RtlUserThreadStart(PVOID start, PVOID parameter)
{
    __asm__("movl %edi, %edi\n pushl %ebp\n movl %esp, %ebp\n pushl 12(%ebp)\n pushl 8(%ebp)\n call ___RtlUserThreadStart@8\n int3");
}
