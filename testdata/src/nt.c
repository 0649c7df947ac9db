/*
 * The test kernel: its functions have the names and the call order of the
 * paths that threads of a dump stand in, and compiled code and unwind data of
 * their own. Nothing here runs.
 */
#include "win.h"

typedef NTSTATUS (*ROUTINE)(PVOID);

LONG KiSwapContext(PVOID from, PVOID to);
void KeBugCheckEx(ULONG code, ULONG64 a, ULONG64 b, ULONG64 c, ULONG64 d);

/* Data that the dump writer fills. Sizes are what the writer needs. */
#define DATA(name, size) __attribute__((aligned(16))) UCHAR name[size] = {1}
DATA(KdDebuggerDataBlock, 0x380);
DATA(KdVersionBlock, 0x28);
DATA(PsActiveProcessHead, 16);
DATA(PsLoadedModuleList, 16);
DATA(KiProcessorBlock, 64 * 8);
DATA(PspCidTable, 8);
DATA(MmPfnDatabase, 8);
DATA(MmUnloadedDrivers, 8);
DATA(MmLastUnloadedDriver, 4);
DATA(MmPhysicalMemoryBlock, 8);
DATA(MmHighestUserAddress, 8);
DATA(MmSystemRangeStart, 8);
DATA(MmUserProbeAddress, 8);
DATA(KeNumberProcessors, 4);
DATA(KeTimeIncrement, 4);
DATA(KeMaximumIncrement, 4);
DATA(KeActiveProcessors, 0x28);
DATA(KiBugCheckData, 40);
DATA(KdpDataBlockEncoded, 1);
DATA(KiWaitNever, 8);
DATA(KiWaitAlways, 8);
DATA(KiInitialThread, 0x800);
DATA(KiInitialProcess, 0xa00);
DATA(PsIdleProcess, 8);
DATA(ObTypeIndexTable, 64 * 8);
DATA(ObpInfoMaskToOffset, 256);
DATA(ObHeaderCookie, 1);
DATA(ObpRootDirectoryObject, 8);
DATA(ObpTypeObjectType, 8);
DATA(ExpSystemResourcesList, 16);
DATA(MiState, 0x200);
DATA(MiSystemPartition, 0x240);
DATA(ExPoolState, 0xd0);
DATA(NtGlobalFlag, 4);
DATA(NtBuildNumber, 4);
DATA(NtBuildLab, 64);
DATA(NtBuildLabEx, 64);
DATA(CmNtCSDVersion, 4);
DATA(KiBootDebuggerFlags, 4);
DATA(ExpWorkerQueueDepth, 8);
DATA(CmpHiveListHead, 16);
DATA(CmpMasterHive, 8);
DATA(CmpRegistryProcess, 8);
DATA(CmpCacheTable, 8);
DATA(CmpHashTableSize, 4);
DATA(CmpRmListHead, 16);
DATA(CmKeyObjectType, 8);
DATA(PoolBigPageTable, 8);
DATA(PoolBigPageTableSize, 8);
DATA(WmipSMBiosTablePhysicalAddress, 8);
DATA(WmipSMBiosTableLength, 4);
DATA(WmipSMBiosVersionInfo, 4);
EXPORTED PVOID PsInitialSystemProcess = (PVOID)1;
EXPORTED PVOID PsProcessType = (PVOID)1, PsThreadType = (PVOID)1;

volatile ULONG KiSpin;

NOINLINE LONG KiSwapThread(PVOID thread, PVOID prcb)
{
    volatile ULONG64 queue[14];
    queue[0] = (ULONG64)thread;
    LONG status = KiSwapContext(thread, (PVOID)queue);
    return status + (LONG)queue[1] + (prcb != 0);
}

NOINLINE NTSTATUS KiCommitThreadWait(PVOID thread, PVOID block, ULONG64 *due)
{
    volatile ULONG64 timer[9];
    timer[0] = due ? *due : 0;
    NTSTATUS status = KiSwapThread(thread, block);
    return status + (NTSTATUS)timer[1];
}

EXPORTED NOINLINE NTSTATUS KeWaitForSingleObject(PVOID object, ULONG reason, UCHAR mode, UCHAR alertable, ULONG64 *due)
{
    volatile ULONG64 block[7];
    block[0] = (ULONG64)object; block[1] = reason; block[2] = mode + alertable;
    return KiCommitThreadWait(object, (PVOID)block, due) + (NTSTATUS)block[2];
}

EXPORTED NOINLINE NTSTATUS KeWaitForMultipleObjects(ULONG count, PVOID *objects, ULONG type, ULONG reason, UCHAR mode, ULONG64 *due)
{
    volatile ULONG64 blocks[20];
    for (ULONG i = 0; i < count; i++) blocks[i & 15] = (ULONG64)objects[i] + type;
    return KiCommitThreadWait(objects, (PVOID)blocks, due) + (NTSTATUS)blocks[3] + reason + mode;
}

EXPORTED NOINLINE NTSTATUS KeDelayExecutionThread(UCHAR mode, UCHAR alertable, ULONG64 *interval)
{
    volatile ULONG64 timer[5];
    timer[0] = *interval + mode + alertable;
    return KiCommitThreadWait((PVOID)timer, 0, interval) + (NTSTATUS)timer[1];
}

NOINLINE NTSTATUS KeRemoveQueueEx(PVOID queue, UCHAR mode, PVOID entries, ULONG64 *due)
{
    volatile ULONG64 list[12];
    list[0] = (ULONG64)queue + mode;
    return KiCommitThreadWait(queue, entries, due) + (NTSTATUS)list[1];
}

NOINLINE PVOID KeRemovePriQueue(PVOID queue, UCHAR mode)
{
    volatile ULONG64 list[8];
    list[0] = (ULONG64)queue + mode;
    return (PVOID)(list[1] + KiCommitThreadWait(queue, 0, 0));
}

NOINLINE NTSTATUS KeWaitForAlertByThreadId(PVOID address, ULONG64 *due)
{
    volatile ULONG64 state[4];
    state[0] = (ULONG64)address;
    return KiCommitThreadWait(address, 0, due) + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS ObWaitForSingleObject(HANDLE handle, UCHAR mode, UCHAR alertable, ULONG64 *due)
{
    volatile ULONG64 object[3];
    object[0] = (ULONG64)handle;
    return KeWaitForSingleObject((PVOID)object[0], 6, mode, alertable, due) + (NTSTATUS)object[1];
}

NOINLINE NTSTATUS ObWaitForMultipleObjects(ULONG count, HANDLE *handles, UCHAR mode, ULONG64 *due)
{
    PVOID objects[16];
    for (ULONG i = 0; i < count && i < 16; i++) objects[i] = handles[i];
    return KeWaitForMultipleObjects(count, objects, 1, 6, mode, due) + (objects[3] != 0);
}

NOINLINE NTSTATUS IoRemoveIoCompletion(PVOID port, PVOID entries, ULONG count, ULONG64 *due)
{
    volatile ULONG64 packets[10];
    packets[0] = count;
    return KeRemoveQueueEx(port, 1, entries, due) + (NTSTATUS)packets[1];
}

NOINLINE NTSTATUS IopSynchronousServiceTail(PVOID device, PVOID irp, PVOID file)
{
    volatile ULONG64 state[5];
    state[0] = (ULONG64)irp + (device != 0);
    return KeWaitForSingleObject(file, 0, 1, 0, 0) + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS AlpcpSignalAndWait(PVOID signal, PVOID wait, ULONG64 *due)
{
    volatile ULONG64 state[4];
    state[0] = (ULONG64)signal;
    return KeWaitForSingleObject(wait, 17, 1, 0, due) + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS AlpcpReceiveSynchronousReply(PVOID port, PVOID message, ULONG64 *due)
{
    volatile ULONG64 state[2];
    state[0] = (ULONG64)message;
    return AlpcpSignalAndWait(port, message, due) + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS AlpcpProcessSynchronousRequest(PVOID port, ULONG flags, PVOID message, ULONG64 *due)
{
    volatile ULONG64 state[11];
    state[0] = flags;
    return AlpcpReceiveSynchronousReply(port, message, due) + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS NtWaitForSingleObject(HANDLE handle, UCHAR alertable, ULONG64 *due)
{
    volatile ULONG64 copy[2];
    copy[0] = due ? *due : 0;
    return ObWaitForSingleObject(handle, 1, alertable, (ULONG64 *)copy) + (NTSTATUS)copy[1];
}

NOINLINE NTSTATUS NtWaitForMultipleObjects(ULONG count, HANDLE *handles, ULONG type, UCHAR alertable, ULONG64 *due)
{
    HANDLE copy[64];
    for (ULONG i = 0; i < count && i < 64; i++) copy[i] = handles[i];
    return ObWaitForMultipleObjects(count, copy, 1, due) + (copy[5] != 0) + type + alertable;
}

NOINLINE NTSTATUS NtDelayExecution(UCHAR alertable, ULONG64 *interval)
{
    volatile ULONG64 copy = *interval;
    return KeDelayExecutionThread(1, alertable, (ULONG64 *)&copy) + (NTSTATUS)copy;
}

NOINLINE NTSTATUS NtRemoveIoCompletion(HANDLE port, PVOID *key, PVOID *context, PVOID status, ULONG64 *due)
{
    volatile ULONG64 entry[6];
    entry[0] = (ULONG64)key + (ULONG64)context;
    return IoRemoveIoCompletion(port, (PVOID)entry, 1, due) + (status != 0) + (NTSTATUS)entry[1];
}

NOINLINE NTSTATUS NtWaitForWorkViaWorkerFactory(HANDLE factory, PVOID info, ULONG count, ULONG *returned)
{
    volatile ULONG64 packets[24];
    packets[0] = count;
    NTSTATUS status = IoRemoveIoCompletion(factory, (PVOID)packets, count, 0);
    *returned = (ULONG)packets[1];
    return status + (info != 0);
}

NOINLINE NTSTATUS NtAlpcSendWaitReceivePort(HANDLE port, ULONG flags, PVOID send, PVOID receive, ULONG64 *due)
{
    volatile ULONG64 state[8];
    state[0] = (ULONG64)send;
    return AlpcpProcessSynchronousRequest(port, flags, receive, due) + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS NtWaitForAlertByThreadId(PVOID address, ULONG64 *due)
{
    volatile ULONG64 copy = due ? *due : 0;
    return KeWaitForAlertByThreadId(address, (ULONG64 *)&copy) + (NTSTATUS)copy;
}

NOINLINE NTSTATUS NtReadFile(HANDLE file, HANDLE event, PVOID buffer, ULONG length)
{
    volatile ULONG64 irp[9];
    irp[0] = (ULONG64)buffer + length;
    return IopSynchronousServiceTail(event, (PVOID)irp, file) + (NTSTATUS)irp[1];
}

NOINLINE NTSTATUS MiWaitForInPageComplete(PVOID pte, PVOID support)
{
    volatile ULONG64 state[6];
    state[0] = (ULONG64)pte;
    return KeWaitForSingleObject(support, 9, 0, 0, 0) + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS MmAccessFault(ULONG64 code, PVOID address, UCHAR mode, PVOID frame)
{
    volatile ULONG64 fault[10];
    fault[0] = code + mode;
    return MiWaitForInPageComplete(address, frame) + (NTSTATUS)fault[1];
}

NOINLINE NTSTATUS ExpWorkerThread(PVOID queue)
{
    volatile ULONG64 state[7];
    for (;;) {
        PVOID item = KeRemovePriQueue(queue, 0);
        state[0] = (ULONG64)item;
        if (!item) return (NTSTATUS)state[1];
        ((ROUTINE)item)((PVOID)state);
    }
}

NOINLINE NTSTATUS KeBalanceSetManager(PVOID context)
{
    PVOID objects[4] = {context};
    NTSTATUS status = 0;
    while (status >= 0) status += KeWaitForMultipleObjects(2, objects, 1, 0, 0, 0);
    return status;
}

NOINLINE NTSTATUS MiModifiedPageWriter(PVOID partition)
{
    volatile ULONG64 state[5];
    state[0] = (ULONG64)partition;
    NTSTATUS status = 0;
    while (status >= 0) status += KeWaitForSingleObject(partition, 8, 0, 0, 0);
    return status + (NTSTATUS)state[1];
}

NOINLINE NTSTATUS ExpWaitForResource(PVOID resource, PVOID object)
{
    volatile ULONG64 state[6];
    state[0] = (ULONG64)resource;
    return KeWaitForSingleObject(object, 27, 0, 0, 0) + (NTSTATUS)state[1];
}

EXPORTED NOINLINE UCHAR ExAcquireResourceExclusiveLite(PVOID resource, UCHAR wait)
{
    volatile ULONG64 owner[3];
    owner[0] = wait;
    return (UCHAR)(ExpWaitForResource(resource, (PVOID)owner) + (NTSTATUS)owner[1]);
}

NOINLINE NTSTATUS CcWorkerThread(PVOID resource)
{
    volatile ULONG64 state[3];
    state[0] = ExAcquireResourceExclusiveLite(resource, 1);
    return (NTSTATUS)state[0];
}

NOINLINE void PspSystemThreadStartup(ROUTINE routine, PVOID context)
{
    volatile ULONG64 state[4];
    state[0] = (ULONG64)context;
    state[1] = routine((PVOID)state[0]);
    for (;;) KiSpin++;
}

NOINLINE UCHAR KiCallInterruptServiceRoutine(PVOID interrupt, UCHAR irql)
{
    volatile ULONG64 state[10];
    state[0] = irql;
    NTSTATUS handled = (*(ROUTINE *)interrupt)(interrupt);
    return (UCHAR)(handled + state[1]);
}

NOINLINE UCHAR KiInterruptSubDispatchNoLock(PVOID interrupt, PVOID frame)
{
    volatile ULONG64 state[7];
    state[0] = (ULONG64)frame;
    return KiCallInterruptServiceRoutine(interrupt, 9) + (UCHAR)state[1];
}

NOINLINE void HalProcessorIdle(void)
{
    volatile ULONG64 state[2];
    state[0] = 1;
    __asm__ volatile("sti\nhlt\nnop" ::: "memory");
    KiSpin += (ULONG)state[0];
}

NOINLINE ULONG64 PpmIdleExecuteTransition(PVOID state, ULONG index)
{
    volatile ULONG64 times[40];
    times[index & 31] = (ULONG64)state;
    HalProcessorIdle();
    return times[3];
}

NOINLINE ULONG64 PoIdle(PVOID prcb)
{
    volatile ULONG64 times[16];
    times[0] = (ULONG64)prcb;
    return PpmIdleExecuteTransition(prcb, 1) + times[2];
}

NOINLINE void ExpIdleHelper(ULONG64 *out, SIZE_T n)
{
    /* A frame of variable size: its unwind data needs a frame register. */
    ULONG64 *scratch = __builtin_alloca(n * 8);
    for (SIZE_T i = 0; i < n; i++) scratch[i] = out[i];
    KeDelayExecutionThread(0, 0, scratch);
    out[0] = scratch[n - 1];
}

NOINLINE NTSTATUS ExpLuidThread(PVOID context)
{
    ULONG64 out[6] = {(ULONG64)context};
    for (;;) { ExpIdleHelper(out, 6 + (ULONG64)context % 2); if (out[0] == 3) return 0; }
}

EXPORTED NOINLINE PVOID ExAllocatePool2(ULONG64 flags, SIZE_T size, ULONG tag)
{
    volatile ULONG64 state[3];
    state[0] = flags + size + tag;
    return (PVOID)state[0];
}

NOINLINE void KiSystemStartup(PVOID block)
{
    volatile ULONG64 state[3];
    state[0] = (ULONG64)block;
    KeBugCheckEx(0, state[0], 0, 0, 0);
}
