package expr

import (
	"strings"
	"testing"

	"kdap/engine/format"
)

// The tables of this file are written by hand after the rules of the two
// evaluators. The environment is that of the fuzz tests: a module m at 1000, a
// structure node at 2000 that points to itself, memory from 2000 to 203f.

// masmTable: expression, then the value in hexadecimal or the error.
const masmTable = `
0 | 0
1 | 1
a | a
A | a
10 | 10
1f | 1f
0x1F | 1f
0X1f | 1f
0n31 | 1f
0N31 | 1f
0t37 | 1f
0T37 | 1f
0y11111 | 1f
0Y11111 | 1f
1fh | 1f
1FH | 1f
0fh | f
00h | 0
bh | Couldn't resolve error at 'bh'
bch | bc
bcH | bc
1h | Syntax error at '1h'
0x | 0
0n | 0
0t | 0
0y | 0
0x+1 | 1
0n-1 | ffffffffffffffff
0n-31 | ffffffffffffffe1
-0n31 | ffffffffffffffe1
0b1 | b1
0d1 | d1
0e1 | e1
0a | a
0c` + "`" + `d | cd
1` + "`" + `2 | 12
1` + "``" + `2 | 12
fe` + "`" + `dc | fedc
12345678` + "`" + `9abcdef0 | 123456789abcdef0
0n1` + "`" + `000 | 3e8
ffffffff | ffffffff
ffffffffffffffff | ffffffffffffffff
0n18446744073709551615 | ffffffffffffffff
10000000000000000 | Overflow error at '10000000000000000'
0t2000000000000000000000 | Overflow error at '0t2000000000000000000000'
0t1777777777777777777777 | ffffffffffffffff
1g | Syntax error at '1g'
0xg | Syntax error at '0xg'
0y12 | Syntax error at '0y12'
0t9 | Syntax error at '0t9'
0na | Syntax error at '0na'
0x1h | Syntax error at '0x1h'
1.0 | Syntax error at '1.0'
1_0 | Syntax error at '1_0'
'' | 0
'a' | 61
'A' | 41
'ab' | 6162
'abc' | 616263
'12345678' | 3132333435363738
'123456789' | 3233343536373839
' ' | 20
'\t' | 74
'a\b' | 6162
'''' | 27
'a''b' | 612762
'a | Syntax error at ''a'
1+2 | 3
1 + 2 | 3
1+2+3 | 6
5-3 | 2
3-5 | fffffffffffffffe
5-3-1 | 1
5-(3-1) | 3
2*3 | 6
2*3*4 | 18
2+3*4 | e
(2+3)*4 | 14
[2+3]*4 | 14
6/4 | 1
0n-7/2 | fffffffffffffffd
0n7/0n-2 | fffffffffffffffd
0n-7 mod 2 | ffffffffffffffff
0n-7%2 | ffffffffffffffff
7 mod 0n-2 | 1
64/4/2 | c
64/(4/2) | 32
8000000000000000/0n-1 | 8000000000000000
8000000000000000 mod 0n-1 | 0
1/0 | Operand error at '0'
1/0+5 | Operand error at '0+5'
1%0 | Operand error at '0'
1/(1-1) | Operand error at ')'
1/(1-1)*2 | Operand error at ')*2'
1<<3 | 8
1<<3f | 8000000000000000
1<<40 | 1
1<<41 | 2
f0>>4 | f
-1>>3f | 1
-1>>>3f | ffffffffffffffff
8000000000000000>>>4 | f800000000000000
1<<2<<1 | 8
1<<(2<<1) | 10
1+1<<1+1 | 8
f&3 | 3
1|2 | 3
f^3 | c
f and 3 | 3
1 or 2 | 3
f xor 3 | c
f AND 3 | 3
1|2&2 | 2
1|(2&2) | 3
4^4|1 | 1
7&3==3 | 1
7&(3==3) | 1
(7&3)==3 | 1
1==1 | 1
1=1 | 1
1=0 | 0
1!=0 | 1
1!=1 | 0
1<2 | 1
2<1 | 0
-1<0 | 1
-1>0 | 0
8000000000000000<0 | 1
1<=1 | 1
2<=1 | 0
1>=1 | 1
0>=1 | 0
3>2>1 | 0
1<2==1 | 1
1+1==2 | 1
1<<1==2 | 1
-1 | ffffffffffffffff
--1 | 1
- - 1 | 1
+1 | 1
+-+1 | ffffffffffffffff
-(1+1) | fffffffffffffffe
-1*-1 | 1
2*-3 | fffffffffffffffa
~0 | 1
~1 | 0
~5 | 0
~~5 | 1
not 0 | 1
not 7 | 0
not not 7 | 1
NOT 0 | 1
not 0+1 | 2
not(0+1) | 0
-not 0 | ffffffffffffffff
hi 12345678 | 1234
low 12345678 | 5678
hi(12345678) | 1234
hi 1122334455667788 | 5566
low 1122334455667788 | 7788
hi low 12345678 | 0
low hi 12345678 | 1234
by 2008 | 6e
by 2009 | 61
wo 2008 | 616e
dwo 2008 | 656d616e
qwo 2000 | 2000
poi 2000 | 2000
poi(2000) | 2000
poi(poi(2000)) | 2000
poi poi 2000 | 2000
POI(2000) | 2000
by(2008)+1 | 6f
by 2008+1 | 6f
by(2008+1) | 61
by [2009] | 61
-by 2008 | ffffffffffffff92
2*by 2008 | dc
by 2040 | Memory access error at '2040'
by(2040) | Memory access error at ')'
1+by(2040)+1 | Memory access error at ')+1'
qwo 2039 | Memory access error at '2039'
poi poi 2008 | Memory access error at '2008'
poi(0 | Syntax error at '<EOL>'
$pby(1000) | 0
$pqwo 1ff8 | 0
$pdwo 1ffe | Memory access error at '1ffe'
$pby(2000) | Memory access error at ')'
&10 | 10
%10 | 10
#10 | 10
(&10) | 10
1&&1 | Numeric expression missing from '&1'
m | 1000
M | 1000
m+10 | 1010
m!node | 2000
M!NODE | 2000
m:node | 2000
m!node+4 | 2004
node | 2000
!node | 2000
&m!node | 2000
m!node-m | 1000
@!"m!node" | 2000
@!"m!node"+1 | 2001
@!m!node | Syntax error at '@!m!node'
@!"" | Syntax error at '@!""'
@!"none" | Numeric expression missing from '@!"none"'
m! | Syntax error at 'm!'
m!+1 | Syntax error at 'm!+1'
! | Syntax error at '!'
m!none | Couldn't resolve error at 'm!none'
none!node | Couldn't resolve error at 'none!node'
none+1 | Couldn't resolve error at 'none+1'
(none) | Couldn't resolve error at 'none)'
m::node | Couldn't resolve error at 'm::node'
m!=1000 | 0
m!=1 | 1
gone | Value unavailable error at 'gone'
reg | 7
one | 1
rax | 5
RAX | 5
@rax | 5
@RAX+1 | 6
al | 5
rax=al | 1
@$ip | 3000
$ip | 3000
$IP | 3000
. | 3000
.+1 | 3001
$t0 | 0
$t1 | 2000
@$t1+8 | 2008
$t2 | 0
$t3 | 1
$tid | Bad register error at '$tid'
@$tid | Bad register error at '@$tid'
$none | Couldn't resolve error at '$none'
@none | Bad register error at '@none'
@$none | Bad register error at '@$none'
@ | Bad register error at '@'
@@ | Syntax error at '@@'
@@(1) | 1
@@(0x10) | 10
@@(10) | a
@@c++(10) | a
@@C++(10) | a
@@masm(10) | 10
@@masm(@@c++(10)+10) | 1a
@@(10)+10 | 1a
@@(1.5) | 1
@@(-1) | ffffffffffffffff
@@(node.count) | fffffffffffffffe
@@(node.name) | 2008
@@(&node) | 2000
@@(1==1) | 1
@@(node) | Type conflict error at '@@(node)'
@@(node.none) | Type does not have given member error at 'none)'
@@(1 | Syntax error at '@@(1'
@@() | Syntax error at ')'
` + "`a.c:16`" + ` | 3010
` + "`m!a.c:16`" + ` | 3010
` + "`a.c:16`+4" + ` | 3014
` + "`b.c:16`" + ` | No information found error at '` + "`b.c:16`" + `'
` + "`a.c`" + ` | No information found error at '` + "`a.c`" + `'
` + "`a.c" + ` | Syntax error at '` + "`a.c" + `'
$iment(m) | 1010
$iment(m+5) | 1010
$iment() | Numeric expression missing from ')'
$iment m | Syntax error at 'm'
$vvalid(2000,40) | 1
$vvalid(2000,41) | 0
$vvalid(2000,1) | 1
$vvalid(1fff,2) | 0
$vvalid(-1,2) | 0
$vvalid(2000,0) | Invalid length in ')'
$vvalid(2000) | Syntax error at ')'
$fnsucc(m!fn,0,0) | 0
$fnsucc(m!fn,1,0) | 1
$fnsucc(m!fn,0,1) | 1
$fnsucc(m!fn,1,1) | 0
$scmp("a","a") | 0
$scmp("a","b") | ffffffffffffffff
$scmp("b","a") | 1
$scmp("a","A") | 1
$scmp("","") | 0
$sicmp("a","A") | 0
$sicmp("ab","AC") | ffffffffffffffff
$SCMP("a","a")+1 | 1
$scmp("a" | Syntax error at '("a"'
$scmp(a,"a") | Syntax error at '(a,"a")'
$scmp("a","b" | Syntax error at '<EOL>'
$scmp | Syntax error at '<EOL>'
$spat("abc","abc") | 1
$spat("abc","ABC") | 1
$spat("abc","a*") | 1
$spat("abc","*c") | 1
$spat("abc","*b*") | 1
$spat("abc","*d*") | 0
$spat("abc","a?c") | 1
$spat("abc","a??c") | 0
$spat("abc","[ab]bc") | 1
$spat("abc","[x-z]bc") | 0
$spat("aaab","a+b") | 1
$spat("b","a+b") | 0
$spat("b","a#b") | 1
$spat("aab","a#b") | 1
$spat("abc","") | 0
$spat("","") | 1
$spat("","*") | 1
$spat("a*c","a\*c") | 1
$spat("abc","a\*c") | 0
 | Numeric expression missing from '<EOL>'
( | Numeric expression missing from '<EOL>'
) | Numeric expression missing from ')'
() | Numeric expression missing from ')'
(1 | Syntax error at '<EOL>'
((1) | Syntax error at '<EOL>'
(1 2) | Syntax error at '2)'
[1) | Syntax error at ')'
1+ | Numeric expression missing from '<EOL>'
1+* | Numeric expression missing from '*'
*1 | Numeric expression missing from '*1'
1=>2 | Numeric expression missing from '>2'
mod | Numeric expression missing from 'mod'
1 mod mod | Numeric expression missing from 'mod'
poi | Numeric expression missing from '<EOL>'
not | Numeric expression missing from '<EOL>'
1;2 | 1
1+;2 | Numeric expression missing from ';2'
{1} | Syntax error at '{1}'
"1" | Syntax error at '"1"'
\1 | Syntax error at '\1'
1and1 | Syntax error at '1and1'
(1)and(1) | 1
(1)or 2 | 3
`

func TestMasmTable(t *testing.T) {
	for text, want := range table(t, masmTable) {
		got := ""
		c := NewCursor(text)
		switch v, err := Masm(fuzzEnv(), c); {
		case err != nil:
			got = err.Error()
		case c.Extra() != nil:
			got = "extra text " + c.Rest()
		default:
			got = strings.TrimLeft(format.Hex16(v), "0")
			if got == "" {
				got = "0"
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// cppTable: expression, then what ?? prints (without members) or the error.
const cppTable = `
0 | int 0n0
7 | int 0n7
010 | int 0n8
09 | int 0n9
0x1f | int 0n31
1` + "`" + `000 | int 0n1000
1u | unsigned int 1
11u | unsigned int 0xb
1L | int 0n1
1ul | unsigned int 1
1i64 | int64 0n1
1ui64 | unsigned int64 1
4294967295 | int64 0n4294967295
0xffffffff | unsigned int 0xffffffff
0xffffffffu | unsigned int 0xffffffff
4294967296u | unsigned int64 0x00000001` + "`" + `00000000
0x1ffffffff | int64 0n8589934591
0xffffffffffffffff | unsigned int64 0xffffffff` + "`" + `ffffffff
99999999999999999999 | int 0n0
1.5 | double 1.5
1.5f | float 1.5
.25 | double 0.25
2. | double 2
1e3 | double 1000
1e-2 | double 0.010000000000000000208
2.5e+2 | double 250
1e200 | double 9.9999999999999996973e+199
1e-100 | double 1.00000000000000002e-100
'a' | char 0n97 'a'
'\n' | char 0n10 ''
'\\' | char 0n92 '\'
'\101' | char 0n65 'A'
'\x7e' | char 0n126 '~'
L'z' | wchar_t 0x7a 'z'
'ab' | short 0n24930
1+2 | int 0n3
1+2u | unsigned int 3
1u-2u | unsigned int 0xffffffff
1+2i64 | int64 0n3
1i64+2u | int64 0n3
1ui64+2 | unsigned int64 3
1-2ui64 | unsigned int64 0xffffffff` + "`" + `ffffffff
'a'+1 | int 0n98
'a'+'a' | char 0n-62 ''
1.5+1 | double 2.5
1.5f+1 | float 2.5
1.5f+1.5 | double 3
3/2 | int 0n1
-3/2 | int 0n-1
-3%2 | int 0n-1
3.0/2 | double 1.5
1.5%1 | Type conflict error at '<EOL>'
1/0 | Operand error at '<EOL>'
1.0/0 | Operand error at '<EOL>'
1/0+1 | Operand error at '+1'
2147483647+1 | int 0n-2147483648
0x80000000/2 | unsigned int 0x40000000
-1/2u | unsigned int 0x7fffffff
1<<31 | int 0n-2147483648
1<<32 | int 0n0
1u<<31 | unsigned int 0x80000000
1i64<<32 | int64 0n4294967296
-8>>1 | int 0n-4
0xfffffff8>>1 | unsigned int 0x7ffffffc
6&3 | int 0n2
6|3 | int 0n7
6^3 | int 0n5
1|2&3^1 | int 0n3
~0 | int 0n-1
~0u | unsigned int 0xffffffff
-5 | int 0n-5
-1u | unsigned int 0xffffffff
- -5 | int 0n5
+5 | int 0n5
-1.5 | double -1.5
!0 | bool true
!1.5 | bool false
1==1 | bool true
1!=1 | bool false
-1<0u | bool false
-1<0 | bool true
1.5>1 | bool true
1<=1 | bool true
2>=3 | bool false
1&&0 | bool false
1||0 | bool true
0&&1/0 | bool false
1||1/0 | bool true
1+2*3 | int 0n7
(1+2)*3 | int 0n9
2*3+1 | int 0n7
1<<2+1 | int 0n8
1+1==2 | bool true
1==1&3 | int 0n1
1?2:3 | int 0n2
0?2:3 | int 0n3
1?2:1/0 | int 0n2
0?1/0:3.5 | double 3.5
0?1:0?2:3 | int 0n3
1,2 | int 0n2
(1,2)+1 | int 0n3
(char)300 | char 0n44 ','
(char)-1 | char 0n-1 ''
(unsigned char)200 | unsigned char 0xc8 ''
(unsigned char)9 | unsigned char 0x09 ''
(short)0x18000 | short 0n-32768
(unsigned short)-1 | unsigned short 0xffff
(int)1.9 | int 0n1
(int)-1.9 | int 0n-1
(int64)-1 | int64 0n-1
(unsigned int64)-1 | unsigned int64 0xffffffff` + "`" + `ffffffff
(unsigned int64)0xffffffff | unsigned int64 0xffffffff
(long)5 | long 0n5
(unsigned long)-1 | unsigned long 0xffffffff
(float)1 | float 1
(double)1 | double 1
(bool)5 | bool true
(bool)0.5 | bool true
(wchar_t)65 | wchar_t 0x41 'A'
(HRESULT)-1 | HRESULT 0xffffffff
(Kind)1 | Kind One (0n1)
(Kind)-1 | Kind Minus (0n-1)
(Kind)5 | Kind 0n5 (No matching enumerant)
(Kind)1+1 | unsigned int 2
(int)(Kind)-1 | int 0n-1
(void*)1 | void * 0x00000000` + "`" + `00000001
(void**)1 | void ** 0x00000000` + "`" + `00000001
(int*)-1 | int * 0xffffffff` + "`" + `ffffffff
(void)1 | Type conflict error at '<EOL>'
(_NODE)1 | Type conflict error at '<EOL>'
(int)node | Type conflict error at '<EOL>'
(int) | Syntax error at '<EOL>'
(int | Unexpected token '<EOL>'
int(1.5) | int 0n1
int | Unexpected token '<EOL>'
static_cast<int>(1.5) | int 0n1
reinterpret_cast<int*>(8) | int * 0x00000000` + "`" + `00000008
(int*)8+1 | int * 0x00000000` + "`" + `0000000c
1+(int*)8 | int * 0x00000000` + "`" + `0000000c
(int*)8-1 | int * 0x00000000` + "`" + `00000004
(int*)16-(int*)8 | int64 0n2
(int*)8<(int*)16 | bool true
(int*)8==8 | bool true
(void*)8+1 | Type conflict error at '<EOL>'
(int*)8*2 | Type conflict error at '<EOL>'
-(int*)8 | Type conflict error at '<EOL>'
1-(int*)8 | Type conflict error at '<EOL>'
!(int*)8 | bool false
sizeof(int) | unsigned int64 4
sizeof(char) | unsigned int64 1
sizeof(int*) | unsigned int64 8
sizeof(void) | unsigned int64 0
sizeof(1i64) | unsigned int64 8
sizeof 1.5f | unsigned int64 4
sizeof('a') | unsigned int64 1
sizeof(_NODE) | unsigned int64 0x20
sizeof(m!_NODE) | unsigned int64 0x20
sizeof(m!_NODE*) | unsigned int64 8
sizeof(int[4]) | unsigned int64 0x10
sizeof(node) | unsigned int64 0x20
sizeof(node.name) | unsigned int64 8
sizeof(*node.next) | unsigned int64 0x20
sizeof(int)+1 | unsigned int64 5
sizeof() | Syntax error at ')'
sizeof _NODE | Unexpected token '<EOL>'
node | struct _NODE
&node | struct _NODE * 0x00000000` + "`" + `00002000
m!node.count | int 0n-2
node.count | int 0n-2
&node.count | int * 0x00000000` + "`" + `0000201c
node.flag | unsigned int 0x13
&node.flag | No address for operator& '<EOL>'
node.value | double 1.5
node.value*2 | double 3
node.name | char [8] 0x00000000` + "`" + `00002008
node.name[0] | char 0n110 'n'
node.name[1] | char 0n97 'a'
&node.name[1] | char * 0x00000000` + "`" + `00002009
*node.name | No pointer for operator* '<EOL>'
node.next | struct _NODE * 0x00000000` + "`" + `00002000
node.next->count | int 0n-2
node.next->next->next->count | int 0n-2
(*node.next).count | int 0n-2
node.next[0].count | int 0n-2
&node.next[1] | struct _NODE * 0x00000000` + "`" + `00002020
node.next+1 | struct _NODE * 0x00000000` + "`" + `00002020
node.none | Type does not have given member error at 'none'
node->count | Type is not pointer for operator-> '->count'
node.next.count | Type is not struct/class/union for operator. '.count'
node.count.x | Type is not struct/class/union for operator. '.x'
node+1 | Type conflict error at '<EOL>'
node.count=1 | Memory access error at '<EOL>'
1=2 | Type conflict error at '=2'
node.count++ | Memory access error at '++'
1++ | Memory access error at '++'
++1 | Memory access error at '<EOL>'
*(int*)0x201c | int 0n-2
*(int*)0 | Memory access error at '<EOL>'
((_NODE*)0)->count | Memory access error at 'count'
&((_NODE*)0)->count | Memory access error at 'count'
((_NODE*)0x3000)->count | Memory access error at 'count'
((_NODE*)0)->none | Type does not have given member error at 'none'
*1 | No pointer for operator* '<EOL>'
&1 | No address for operator& '<EOL>'
1[2] | Type conflict error at '<EOL>'
m!fn | <function> 0x00000000` + "`" + `00003000
&m!fn | <function> * 0x00000000` + "`" + `00003000
one | int 0n1
reg | unsigned int 7
gone | Value unavailable error at 'gone'
@rax | unsigned int64 5
@RAX | unsigned int64 5
@efl | unsigned int 0x246
@cs | unsigned short 0x33
@st0 | double 0
@xmm0 | Internal implementation error at '@xmm0'
@none | Bad register error at '@none'
@$t0 | <unnamed 0> <0>
@$t1 | struct _NODE * 0x00000000` + "`" + `00002000
@$t1->count | int 0n-2
@$t2.count | int 0n-2
@$t3 | double 1.5
$t1 | Unexpected character in '$t1'
@@masm(10) | unsigned int64 0x10
@@(10) | unsigned int64 0x10
@@(poi(m!node)) | unsigned int64 0x2000
@@c++(10) | int 0n10
@@masm(10)+1 | unsigned int64 0x11
@@masm(1 | EOF in alternate evaluator expression '@@masm(1'
#FIELD_OFFSET(_NODE,count) | long 0n28
#FIELD_OFFSET(m!_NODE, name) | long 0n8
#FIELD_OFFSET(_NODE,name[2]) | long 0n10
#FIELD_OFFSET(_NODE,flag) | No address for operator& ')'
#FIELD_OFFSET(_NODE,none) | Type does not have given member error at 'none))'
#FIELD_OFFSET(_NODE) | Syntax error at '(_NODE)'
#FIELD_OFFSET | Syntax error at '<EOL>'
#RTL_FIELD_SIZE(_NODE,name) | unsigned int64 8
#RTL_SIZEOF_THROUGH_FIELD(_NODE,name) | unsigned int64 0x10
#RTL_NUMBER_OF(node.name) | unsigned int64 8
#RTL_CONTAINS_FIELD(@$t1,0x20,count) | bool true
#RTL_CONTAINS_FIELD(@$t1,0x1f,count) | bool false
#CONTAINING_RECORD(&node.count,_NODE,count) | struct _NODE * 0x00000000` + "`" + `00002000
#CONTAINING_RECORD(&node.count,_NODE,count)->count | int 0n-2
#NONE(1) | Syntax error at '#NONE(1)'
# | Syntax error at '#'
"abc" | String literals not allowed in '"abc"'
 | Syntax error at '<EOL>'
() | Syntax error at ')'
(1 | Unexpected token '<EOL>'
1+ | Syntax error at '<EOL>'
* | Syntax error at '<EOL>'
= | Syntax error at '='
1?2 | Unexpected token '<EOL>'
node.next[0 | Unexpected token '<EOL>'
`

func TestCppTable(t *testing.T) {
	for text, want := range table(t, cppTable) {
		env := fuzzEnv()
		c := NewCursor(text)
		got := ""
		switch v, err := Cpp(env, c); {
		case err != nil:
			got = err.Error()
		case c.Extra() != nil:
			got = "extra text " + c.Rest()
		default:
			got, _, _ = strings.Cut(Print(env, v, nil), "\n")
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func table(t *testing.T, text string) func(func(string, string) bool) {
	t.Helper()
	return func(yield func(string, string) bool) {
		for line := range strings.Lines(strings.TrimPrefix(text, "\n")) {
			i := strings.LastIndex(line, " | ")
			if i < 0 {
				t.Errorf("no case: %q", line)
				continue
			}
			if !yield(line[:i], strings.TrimRight(line[i+3:], "\n")) {
				return
			}
		}
	}
}

func TestUnresolvedNames(t *testing.T) {
	for _, c := range []struct{ text, want, printed string }{
		{"none", "Couldn't resolve error at 'none'", "Type referenced: none "},
		{"none+1", "Couldn't resolve error at 'none+1'", "Type referenced: none "},
		{"m!none", "Couldn't resolve error at 'm!none'", ""},
		{"this", "Couldn't resolve error at 'this'", ""},
		{"m!bare", "Couldn't resolve error at 'm!bare'", "Unimplemented error for bare\n"},
		{"m", "Couldn't resolve error at 'm'", "Type referenced: m "},
		{"bad", "Memory access error at 'bad'", "Memory access error for bad\n"},
		{"sizeof(unsigned)", "Couldn't resolve error at 'unsigned)'", "Type referenced: unsigned "},
		{"(signed char)1", "Couldn't resolve error at 'signed char)1'", "Type referenced: signed char "},
		{"(struct m!_NODE*)1", "Couldn't resolve error at 'struct m!_NODE*)1'", "\"struct\" was not found in the image list.\n"},
	} {
		env := fuzzEnv()
		_, err := Cpp(env, NewCursor(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
		if out := env.out.String(); !strings.Contains(out, c.printed) || c.printed == "" && out != "" {
			t.Errorf("%s printed %q", c.text, out)
		}
	}
}

func TestRadixes(t *testing.T) {
	for _, c := range []struct {
		radix int
		text  string
		want  uint64
		err   string
	}{
		{10, "10", 10, ""},
		{10, "10h", 16, ""},
		{10, "0x10", 16, ""},
		{10, "0y11", 3, ""},
		{10, "ff", 0, "Couldn't resolve error at 'ff'"},
		{8, "10", 8, ""},
		{8, "8", 0, "Syntax error at '8'"},
		{8, "0n8", 8, ""},
		{8, "17+1", 16, ""},
	} {
		env := fuzzEnv()
		env.radix = c.radix
		got, err := Masm(env, NewCursor(c.text))
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("radix %d: %s: %x, %v", c.radix, c.text, got, err)
		}
	}
}

func TestDefaultEvaluator(t *testing.T) {
	env := fuzzEnv()
	env.cpp = true
	if v, err := Default(env, NewCursor("10")); v != 10 || err != nil {
		t.Errorf("10: %x, %v", v, err)
	}
	if _, err := Default(env, NewCursor("node")); err == nil || err.Error() != "Type conflict error at 'node'" {
		t.Errorf("node: %v", err)
	}
	c := NewCursor("@@(10) L2")
	r, err := ReadRange(env, c, RangeSpec{ElemSize: 1})
	if err != nil || r.Addr != 0x10 || r.Count != 2 {
		t.Errorf("range: %+v, %v", r, err)
	}
	if env.last != 2 {
		t.Errorf("last value %x", env.last)
	}
}

func TestCursorGoesOn(t *testing.T) {
	env := fuzzEnv()
	c := NewCursor("1+1 , 2*3; rest")
	a, errA := Masm(env, c)
	c.SkipBlanks()
	if !c.Accept(",") {
		t.Fatalf("rest %q", c.Rest())
	}
	b, errB := Masm(env, c)
	if a != 2 || b != 6 || errA != nil || errB != nil || !c.Done() || c.Rest() != "; rest" {
		t.Errorf("%d %d %v %v %q", a, b, errA, errB, c.Rest())
	}
}
