package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIOCommands compares layouts with reference/commands/objects.md; the
// values are what lab19041.json says of the dump.
func TestIOCommands(t *testing.T) {
	s := labSession(t)
	tests := []struct{ line, want string }{
		{`!drvobj \Driver\condrv`, `Driver object (ffffe38720111c80) is for:
 \Driver\condrv

Driver Extension List: (id , addr)

Device Object list:
ffffe38720135ac0  
`},
		{`!drvobj nope`, "Driver object \\Driver\\nope not found\n"},
		{`!devobj ConDrv`, `Device object (ffffe38720135ac0) is for:
 ConDrv \Driver\condrv DriverObject ffffe38720111c80
Current Irp 00000000 RefCount 3 Type 00000050 Flags 00000040
SecurityDescriptor 00000000 DevExt ffffe38720135c10 DevObjExt 00000000 
Characteristics (0000000000)  
Device queue is not busy.
`},
		{`!devstack ffffe38720135ac0`, `  !DevObj           !DrvObj            !DevExt           ObjectName
> ffffe38720135ac0  \Driver\condrv     ffffe38720135c10  ConDrv
`},
		{`!irp ffffe38720137480`, `Irp is active with 2 stacks 2 is current (= 0xffffe38720137598)
 No Mdl: No System Buffer: Thread ffffe387110ae080:  Irp stack trace.  
     cmd  flg cl Device   File     Completion-Context
 [N/A(0), N/A(0)]
            0  0 00000000 00000000 00000000-00000000    

			Args: 00000000 00000000 00000000 00000000
>[IRP_MJ_DEVICE_CONTROL(e), N/A(0)]
            5  1 ffffe38720135ac0 ffffe38720116710 00000000-00000000    pending
	       \Driver\condrv
			Args: 00000040 00000020 0050000f 00000000
`},
		{`!irp ffffe38720135ac0`, "IRP signature does not match, probably not an IRP\n"},
		{`!irpfind 0 0 thread ffffe387110ab080`, `  Irp    [ Thread ]         irpStack: (Mj,Mn)   DevObj  [Driver]         MDL Process
ffffe38720137a40 [ffffe387110ab080] irpStack: ( e, 0)  ffffe38720135ac0 [ \Driver\condrv]
`},
		{`!fileobj ffffe38720115090`, `\Windows\System32

Device Object: 0xffffe387201115c0   
Vpb is NULL
Access: Read SharedRead 

Flags:  0x44042
	Synchronous IO
	Cache Supported
	Handle Created

FsContext: 00000000	FsContext2: 00000000
CurrentByteOffset: 0
`},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, answer(s, tt.line)); diff != "" {
				t.Errorf("-want +here\n%s", diff)
			}
		})
	}
}

// TestDispatchTable looks at one row of the dispatch table, whose layout the
// reference gives.
func TestDispatchTable(t *testing.T) {
	got := answer(labSession(t), "!drvobj condrv 2")
	for _, row := range []string{
		"\nDriverStartIo: 00000000\t\n",
		"\nDispatch routines:\n[00] IRP_MJ_CREATE                      fffff80457bd4020\tcondrv+0x4020\n",
		"\n[01] IRP_MJ_CREATE_NAMED_PIPE           fffff80451d06e00\tnt!IopInvalidDeviceRequest\n",
		"\n[1b] IRP_MJ_PNP                         ",
	} {
		if !strings.Contains(got, row) {
			t.Errorf("no row %q in\n%s", row, got)
		}
	}
}
