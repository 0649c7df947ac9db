# Parts of the test kernel that a compiler cannot make: frames that the
# processor pushes, and the thread switch.
    .text

# rcx: code. Its prolog saves the arguments in the caller's home space.
    .globl KeBugCheckEx
    .def KeBugCheckEx; .scl 2; .type 32; .endef
    .p2align 4
KeBugCheckEx:
    .seh_proc KeBugCheckEx
    movq %rcx, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %r8, 24(%rsp)
    movq %r9, 32(%rsp)
    pushfq
    .seh_stackalloc 8
    subq $0x30, %rsp
    .seh_stackalloc 0x30
    .seh_endprologue
    call KiBugCheckStop
    nop
    addq $0x38, %rsp
    ret
    .seh_endproc

    .globl KiBugCheckStop
    .def KiBugCheckStop; .scl 2; .type 32; .endef
    .p2align 4
KiBugCheckStop:
    cli
1:  hlt
    jmp 1b

# The switched-out half of a thread: rbp and a return address below the frame
# that keeps the other registers.
    .globl SwapContext
    .def SwapContext; .scl 2; .type 32; .endef
    .p2align 4
SwapContext:
    .seh_proc SwapContext
    pushq %rbp
    .seh_pushreg %rbp
    subq $0x30, %rsp
    .seh_stackalloc 0x30
    .seh_endprologue
    movq %rsp, 0x58(%rdi)
    movq 0x58(%rsi), %rsp
    addq $0x30, %rsp
    popq %rbp
    ret
    .seh_endproc

    .globl KiSwapContext
    .def KiSwapContext; .scl 2; .type 32; .endef
    .p2align 4
KiSwapContext:
    .seh_proc KiSwapContext
    subq $0x138, %rsp
    .seh_stackalloc 0x138
    leaq 0x100(%rsp), %rax
    movaps %xmm6, 0x30(%rsp)
    .seh_savexmm %xmm6, 0x30
    movaps %xmm7, 0x40(%rsp)
    .seh_savexmm %xmm7, 0x40
    movaps %xmm15, -0x40(%rax)
    .seh_savexmm %xmm15, 0xc0
    movq %rbx, (%rax)
    .seh_savereg %rbx, 0x100
    movq %rdi, 8(%rax)
    .seh_savereg %rdi, 0x108
    movq %rsi, 0x10(%rax)
    .seh_savereg %rsi, 0x110
    movq %r12, 0x18(%rax)
    .seh_savereg %r12, 0x118
    movq %r13, 0x20(%rax)
    .seh_savereg %r13, 0x120
    movq %r14, 0x28(%rax)
    .seh_savereg %r14, 0x128
    movq %r15, 0x30(%rax)
    .seh_savereg %r15, 0x130
    .seh_endprologue
    movq %rcx, %rdi
    movq %rdx, %rsi
    call SwapContext
    leaq 0x100(%rsp), %rcx
    movaps 0x30(%rsp), %xmm6
    movaps 0x40(%rsp), %xmm7
    movaps -0x40(%rcx), %xmm15
    movq (%rcx), %rbx
    movq 8(%rcx), %rdi
    movq 0x10(%rcx), %rsi
    movq 0x18(%rcx), %r12
    movq 0x20(%rcx), %r13
    movq 0x28(%rcx), %r14
    movq 0x30(%rcx), %r15
    addq $0x138, %rsp
    ret
    .seh_endproc

    .globl KiStartSystemThread
    .def KiStartSystemThread; .scl 2; .type 32; .endef
    .p2align 4
KiStartSystemThread:
    .seh_proc KiStartSystemThread
    subq $0x38, %rsp
    .seh_stackalloc 0x38
    .seh_endprologue
    movq 0x20(%rsp), %rcx
    movq 0x28(%rsp), %rdx
    call PspSystemThreadStartup
    nop
    int3
    .seh_endproc

    .globl KiIdleLoop
    .def KiIdleLoop; .scl 2; .type 32; .endef
    .p2align 4
KiIdleLoop:
    .seh_proc KiIdleLoop
    subq $0x28, %rsp
    .seh_stackalloc 0x28
    .seh_endprologue
2:  sti
    movq %gs:0x20, %rcx
    call PoIdle
    movq 8(%rbx), %rdi
    movq 0x10(%rbx), %rsi
    testq %rsi, %rsi
    je 2b
    call SwapContext
    jmp 2b
    .seh_endproc

# The trap frame: the processor's five words, a dummy error code, rbp, then the
# rest; rbp points 0x80 into it.
    .macro TRAPFRAME errorcode
    .if \errorcode
    .seh_pushframe @code
    .else
    .seh_pushframe
    subq $8, %rsp
    .seh_stackalloc 8
    .endif
    pushq %rbp
    .seh_pushreg %rbp
    subq $0x158, %rsp
    .seh_stackalloc 0x158
    leaq 0x80(%rsp), %rbp
    .seh_setframe %rbp, 0x80
    movq %rbx, 0xc0(%rbp)
    .seh_savereg %rbx, 0x140
    movq %rdi, 0xc8(%rbp)
    .seh_savereg %rdi, 0x148
    movq %rsi, 0xd0(%rbp)
    .seh_savereg %rsi, 0x150
    .seh_endprologue
    .endm

    .globl KiSystemCall64
    .def KiSystemCall64; .scl 2; .type 32; .endef
    .irp label, KiSystemServiceStart, KiSystemServiceCopyEnd, KiSystemServiceExit
    .globl \label
    .def \label; .scl 2; .type 32; .endef
    .endr
    .p2align 4
KiSystemCall64:
    .seh_proc KiSystemCall64
    TRAPFRAME 0
KiSystemServiceStart:
    movq %rsp, 0x90(%rbx)
    movl %eax, %edi
    shrl $7, %edi
    andl $0x20, %edi
    leaq ObTypeIndexTable(%rip), %r10
    movq (%r10,%rax,8), %rax
KiSystemServiceCopyEnd:
    testl $1, KiSpin(%rip)
    jne 3f
    callq *%rax
    nop
KiSystemServiceExit:
    movq 0xc0(%rbp), %rbx
    movq 0xc8(%rbp), %rdi
    movq 0xd0(%rbp), %rsi
    movq 0xd8(%rbp), %rbp
    swapgs
    sysretq
3:  int3
    .seh_endproc

    .globl KiInterruptDispatchNoLockNoEtw
    .def KiInterruptDispatchNoLockNoEtw; .scl 2; .type 32; .endef
    .p2align 4
KiInterruptDispatchNoLockNoEtw:
    .seh_proc KiInterruptDispatchNoLockNoEtw
    TRAPFRAME 0
    movq %rsi, %rcx
    movq %rsp, %rdx
    call KiInterruptSubDispatchNoLock
    nop
    iretq
    .seh_endproc

    .globl KiPageFault
    .def KiPageFault; .scl 2; .type 32; .endef
    .p2align 4
KiPageFault:
    .seh_proc KiPageFault
    TRAPFRAME 1
    movq 0xe0(%rbp), %rcx
    movq %cr2, %rdx
    movq %rsp, %r9
    call MmAccessFault
    nop
    iretq
    .seh_endproc
