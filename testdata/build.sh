#!/bin/sh
# Builds the images and PDBs of testdata/images from testdata/src. They are
# committed; run this only after a source changed, with clang, lld and llvm 16
# (Debian: clang-16 lld-16 llvm-16). The result is the same on every machine.
set -e
cd "$(dirname "$0")/src"
out=../images
obj=$(mktemp -d)
trap 'rm -rf "$obj"' EXIT
mkdir -p "$out"
go run ../../engine/dumptest/gentypes > nttypes.h

# No path of the building machine may reach an object or a PDB.
cflags="-target x86_64-pc-windows-msvc -O1 -g -gcodeview -gno-codeview-command-line -ffreestanding -fno-builtin
  -fasynchronous-unwind-tables -fno-optimize-sibling-calls -mno-stack-arg-probe -fms-extensions -Wno-everything
  -fdebug-compilation-dir=. -ffile-prefix-map=$PWD=src"
cc() { clang-16 $cflags -c "$1" -o "$2" $3; }
link() { (cd "$obj" && lld-link-16 /nologo /machine:x64 /nodefaultlib /debug /Brepro /dynamicbase \
  /pdbsourcepath:src "$@"); }

# As in Microsoft's public PDBs, the kernel's has types and public symbols only.
cc nt.c "$obj/nt.obj" "-mno-red-zone -g0"
clang-16 -target x86_64-pc-windows-msvc -c nt_asm.S -o "$obj/nt_asm.obj"
cc nttypes.cpp "$obj/nttypes.obj" "-fno-exceptions -fno-rtti -fstandalone-debug -fno-eliminate-unused-debug-types"
link /out:ntoskrnl.exe /pdb:ntkrnlmp.pdb /pdbaltpath:ntkrnlmp.pdb /driver /subsystem:native /entry:KiSystemStartup \
  /export:KeBugCheckEx /implib:nt.lib nt.obj nt_asm.obj nttypes.obj
cc keypad.c "$obj/keypad.obj"
link /out:keypad.sys /pdb:keypad.pdb /pdbaltpath:keypad.pdb /driver /subsystem:native /entry:DriverEntry keypad.obj nt.lib
cc ntdll.c "$obj/ntdll.obj"
cp ntdll.def "$obj/"
link /dll /noentry /out:ntdll.dll /pdb:ntdll.pdb /pdbaltpath:ntdll.pdb /def:ntdll.def /implib:ntdll.lib ntdll.obj
cc kernel32.c "$obj/kernel32.obj"
link /dll /noentry /out:kernel32.dll /pdb:kernel32.pdb /pdbaltpath:kernel32.pdb /implib:kernel32.lib kernel32.obj ntdll.lib
cc host.c "$obj/host.obj"
for name in svchost explorer; do
  link /out:$name.exe /pdb:$name.pdb /pdbaltpath:$name.pdb /subsystem:console host.obj kernel32.lib ntdll.lib
done
for name in quillpress ferry; do
  cc $name.c "$obj/$name.obj"
  link /out:$name.exe /pdb:$name.pdb /pdbaltpath:$name.pdb /subsystem:console $name.obj kernel32.lib ntdll.lib
done
cc wow64cpu.c "$obj/wow64cpu.obj"
link /dll /noentry /out:wow64cpu.dll /pdb:wow64cpu.pdb /pdbaltpath:wow64cpu.pdb /implib:wow64cpu.lib wow64cpu.obj
cc wow64.c "$obj/wow64.obj"
link /dll /noentry /out:wow64.dll /pdb:wow64.pdb /pdbaltpath:wow64.pdb /implib:wow64.lib wow64.obj wow64cpu.lib ntdll.lib
# 32-bit: the system's DLLs with frame pointers, the program without. A file
# named ntdll.dll is there already, so those images carry a w as their PDBs do.
cc32() { clang-16 $(echo "$cflags" | sed s/x86_64/i686/) -c "$1.c" -o "$obj/$1.obj" "$2"; }
link32() { (cd "$obj" && lld-link-16 /nologo /machine:x86 /safeseh:no /nodefaultlib /debug /Brepro /dynamicbase \
  /pdbsourcepath:src "$@"); }
mkdir "$obj/x86"
for name in ntdll kernel32; do
  cc32 w$name -fno-omit-frame-pointer
  cp w$name.def "$obj/"
  link32 /dll /noentry /out:x86/$name.dll /pdb:w$name.pdb /pdbaltpath:w$name.pdb /def:w$name.def /implib:w$name.lib \
    w$name.obj $(test $name = ntdll || echo wntdll.lib)
  mv "$obj/x86/$name.dll" "$obj/w$name.dll"
done
cc32 oldledger -fomit-frame-pointer
link32 /out:oldledger.exe /pdb:oldledger.pdb /pdbaltpath:oldledger.pdb /subsystem:console /entry:mainCRTStartup \
  oldledger.obj wkernel32.lib
cc corner.c "$obj/corner.obj"
clang-16 -target x86_64-pc-windows-msvc -c corner_asm.S -o "$obj/corner_asm.obj"
link /out:corner.exe /pdb:corner.pdb /pdbaltpath:corner.pdb /subsystem:console corner.obj corner_asm.obj kernel32.lib ntdll.lib
for f in "$obj"/*.exe "$obj"/*.dll "$obj"/*.sys "$obj"/*.pdb; do cp "$f" "$out/"; done

# The writer takes positions of functions and data from these lists.
for f in "$out"/*.pdb; do
  llvm-pdbutil-16 dump -publics "$f" | awk '
    /S_PUB32/ { split($0, n, "`"); name = n[2] }
    /addr = / { split($0, a, "addr = "); print a[2], name, ($0 ~ /function/ ? "f" : "d") }' | sort > "${f%.pdb}.publics"
done
ls -l "$out"
