package analyze

// A family says how the crashes with one bug check are looked at. The numbers
// are those of parameters, counted from 1; 0 is none.
type family struct {
	code      int // exception code
	ip        int // the instruction at fault
	address   int // the memory at fault
	access    int // how it was accessed
	irql      int
	exception int // address of an EXCEPTION_RECORD
	context   int // address of a CONTEXT: the stack begins with it
	trap      int // address of a _KTRAP_FRAME

	// inTrap: a trap raised the bug check in the middle of the code at fault:
	// what counts is the stack below the trap's frame.
	inTrap bool
	// elsewhere: the stack of the crash is that of who noticed, not of who did it.
	elsewhere bool
	// bucket is how the names of the crashes begin, "" for the code.
	bucket func(*Report) string
	// examine finds what else belongs to such a crash.
	examine func(*examiner)
}

// families follow the parameters of Microsoft's public reference of bug checks.
var families map[uint32]family

func init() {
	exception := family{code: 1, ip: 2, exception: 3, context: 4, bucket: exceptionBucket}
	fault := family{address: 1, irql: 2, access: 3, ip: 4, inTrap: true, bucket: faultBucket}
	page := family{address: 1, access: 2, ip: 3, inTrap: true, bucket: faultBucket}
	system := family{exception: 2, context: 3}
	families = map[uint32]family{
		0x0a:  fault,
		0x18:  {examine: examineReference},
		0x19:  {examine: examinePool, elsewhere: true, bucket: kindBucket},
		0x1a:  {bucket: kindBucket, elsewhere: true},
		0x1e:  {code: 1, ip: 2, inTrap: true, bucket: exceptionBucket, examine: examineKernelException},
		0x23:  system,
		0x24:  system,
		0x26:  system,
		0x27:  system,
		0x2b:  {trap: 1},
		0x30:  {trap: 3},
		0x3b:  {code: 1, ip: 2, context: 3, bucket: exceptionBucket},
		0x3d:  {exception: 1, context: 2},
		0x4e:  {bucket: kindBucket, elsewhere: true},
		0x50:  {address: 1, access: 2, ip: 3, inTrap: true, bucket: pageBucket, examine: examinePageFault},
		0x7a:  {code: 2, examine: examineInPage},
		0x7e:  exception,
		0x7f:  {inTrap: true, bucket: kindBucket, examine: examineTrap},
		0x8e:  {code: 1, ip: 2, trap: 3, inTrap: true, bucket: exceptionBucket},
		0x9f:  {bucket: kindBucket, elsewhere: true, examine: examinePower},
		0xa0:  {bucket: kindBucket},
		0xbe:  {address: 1, inTrap: true, examine: examineReadOnly},
		0xc2:  {examine: examinePool, bucket: kindBucket},
		0xc4:  {bucket: kindBucket, examine: examineVerifier},
		0xc5:  fault,
		0xcc:  page,
		0xcd:  page,
		0xce:  page,
		0xcf:  page,
		0xd0:  fault,
		0xd1:  fault,
		0xd3:  fault,
		0xd4:  fault,
		0xd5:  page,
		0xd6:  page,
		0xdb:  fault,
		0xea:  {elsewhere: true, examine: examineStuckThread},
		0xef:  {elsewhere: true, examine: examineCriticalProcess},
		0xf4:  {elsewhere: true, examine: examineCriticalObject},
		0xf7:  {examine: examineCookie},
		0xfc:  {address: 1, inTrap: true, examine: examineNoExecute},
		0x101: {elsewhere: true, bucket: clockBucket, examine: examineClock},
		0x108: system,
		0x109: {elsewhere: true, bucket: typeBucket},
		0x10f: {exception: 1, context: 2},
		0x116: {elsewhere: true, examine: examineDisplay},
		0x117: {elsewhere: true, examine: examineDisplay},
		0x119: {elsewhere: true, bucket: kindBucket, examine: examineDisplayScheduler},
		0x124: {elsewhere: true, bucket: hardwareBucket, examine: examineHardware},
		0x12b: {elsewhere: true, examine: examinePage},
		0x12c: system,
		0x133: {inTrap: true, bucket: watchdogBucket, examine: examineWatchdog},
		0x135: {code: 1, context: 2},
		0x139: {trap: 2, exception: 3, inTrap: true, bucket: fastFailBucket, examine: examineFastFail},
		0x13a: {bucket: kindBucket, examine: examineHeap},
		0x141: {elsewhere: true, examine: examineDisplay},
		0x149: system,
		0x151: {trap: 2, inTrap: true},
		0x154: {examine: examineStore},
		0x1aa: {exception: 4, context: 3},
		0x1ab: {context: 3},
		0x1d5: {elsewhere: true, examine: examinePnPWatchdog},
	}
}

func (r *Report) family() family { return families[r.Plain()] }

// param returns the value of a family's parameter, 0 for none.
func (b *BugCheck) param(n int) uint64 {
	if n == 0 {
		return 0
	}
	return b.Args[n-1].Value
}
