# Frames that a compiler does not make on demand.
    .text

# Calls nothing and keeps nothing: no unwind data.
    .globl CornerLeaf
    .def CornerLeaf; .scl 2; .type 32; .endef
    .p2align 4
CornerLeaf:
    leal 3(%rcx,%rcx), %eax
    imull %ecx, %eax
    ret

# A function in two parts: the second saves one register more, in unwind data
# that is chained to the first part's.
    .globl CornerChained
    .def CornerChained; .scl 2; .type 32; .endef
    .p2align 4
CornerChained:
    .seh_proc CornerChained
    pushq %rbx
    .seh_pushreg %rbx
    subq $0x40, %rsp
    .seh_stackalloc 0x40
    .seh_endprologue
    movl %ecx, %ebx
    testl %ecx, %ecx
    je 1f
    .seh_startchained
    movq %rsi, 0x38(%rsp)
    .seh_savereg %rsi, 0x38
    .seh_endprologue
    movl %ebx, %esi
    call CornerXmm
    addl %esi, %eax
    movq 0x38(%rsp), %rsi
    .seh_endchained
1:  addq $0x40, %rsp
    popq %rbx
    ret
    .seh_endproc

# Saves far from the stack pointer, and a vector register.
    .globl CornerXmm
    .def CornerXmm; .scl 2; .type 32; .endef
    .p2align 4
CornerXmm:
    .seh_proc CornerXmm
    subq $0x90008, %rsp
    .seh_stackalloc 0x90008
    movq %r12, 0x80000(%rsp)
    .seh_savereg %r12, 0x80000
    movaps %xmm8, 0x20(%rsp)
    .seh_savexmm %xmm8, 0x20
    .seh_endprologue
    movl %ecx, %r12d
    call CornerLarge
    movq 0x80000(%rsp), %r12
    movaps 0x20(%rsp), %xmm8
    addq $0x90008, %rsp
    ret
    .seh_endproc
