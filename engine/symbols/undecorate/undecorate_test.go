package undecorate

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// The names with a source come from WinDbg's answers to x; the others follow
// the published grammar.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ raw, name, full string }{
		{"?SmKeyConvert@@YAJPEAT_MM_STORE_KEY@@PEAT_SM_PAGE_KEY@@@Z", "SmKeyConvert", "long __cdecl SmKeyConvert(union _MM_STORE_KEY *,union _SM_PAGE_KEY *)"},
		{"??_7NT_DISK@@6B@", "NT_DISK::`vftable'", "const NT_DISK::`vftable'"},
		{"?SmEtwDescriptorPtrs@@3PAPEBU_EVENT_DESCRIPTOR@@A", "SmEtwDescriptorPtrs", "struct _EVENT_DESCRIPTOR const * * SmEtwDescriptorPtrs"},
		{"?_tlgEvent@?2??SetFailureLocation@@9@9", "`SetFailureLocation'::`3'::_tlgEvent", "`SetFailureLocation'::`3'::_tlgEvent"},
		{"?Hash@MetroHash64@@SAXPEBE_KQEAE1@Z", "MetroHash64::Hash", "public: static void __cdecl MetroHash64::Hash(unsigned char const *,unsigned __int64,unsigned char * const,unsigned __int64)"},
		{"??0SC_DISK@@QEAA@XZ", "SC_DISK::SC_DISK", "public: __cdecl SC_DISK::SC_DISK(void)"},
		{"??1SC_DISK@@UEAA@XZ", "SC_DISK::~SC_DISK", "public: virtual __cdecl SC_DISK::~SC_DISK(void)"},
		{"??_ENT_DISK@@UEAAPEAXI@Z", "NT_DISK::`vector deleting destructor'", "public: virtual void * __cdecl NT_DISK::`vector deleting destructor'(unsigned int)"},
		{"??3SC_ENV_ALLOCATOR@@SAXPEAX@Z", "SC_ENV_ALLOCATOR::operator delete", "public: static void __cdecl SC_ENV_ALLOCATOR::operator delete(void *)"},
		{"?GetStoragePropertyPost@SC_DISK@@MEAAJW4_STORAGE_PROPERTY_ID@@PEAU_STORAGE_DESCRIPTOR_HEADER@@@Z", "SC_DISK::GetStoragePropertyPost", "protected: virtual long __cdecl SC_DISK::GetStoragePropertyPost(enum _STORAGE_PROPERTY_ID,struct _STORAGE_DESCRIPTOR_HEADER *)"},
		{"?wil_details_FeatureReporting_RecordUsageInCache@@YA?AUwil_details_RecordUsageResult@@PEAUwil_details_FeatureReportingCache@@W4wil_details_ServiceReportingKind@@II@Z", "wil_details_FeatureReporting_RecordUsageInCache", "struct wil_details_RecordUsageResult __cdecl wil_details_FeatureReporting_RecordUsageInCache(struct wil_details_FeatureReportingCache *,enum wil_details_ServiceReportingKind,unsigned int,unsigned int)"},
		{"??_C@_01KICIPPFI@?2@FNODOBFM@", " ?? ::FNODOBFM::`string'", " ?? ?? ::FNODOBFM::`string'"},
		{"??_C@_0N@BDDFKIGD@GenuineIntel@", "`string'", "`string'"},
		{"??_C@_00CNPNBAHC@@", "`string'", "`string'"},
		{"?fn@@3P6AXIH@ZEA", "fn", "void (__cdecl* fn)(unsigned int,int)"},
		{"?f@A@@QEBAHXZ", "A::f", "public: int __cdecl A::f(void)const "},
		{"??BFoo@@QEAAHXZ", "Foo::operator int", "public: __cdecl Foo::operator int(void)"},
		{"??0?$A@H@@QEAA@XZ", "A<int>::A<int>", "public: __cdecl A<int>::A<int>(void)"},
		{"?x@?A0x12345678@@3HA", "`anonymous namespace'::x", "int `anonymous namespace'::x"},
		{"?a@@3PAY02HA", "a", "int (* a)[3]"},
		{"??_R0?AUFoo@@@8", "Foo `RTTI Type Descriptor'", "struct Foo `RTTI Type Descriptor'"},
		{"??_R1A@?0A@EA@Foo@@8", "Foo::`RTTI Base Class Descriptor at (0,-1,0,64)'", "Foo::`RTTI Base Class Descriptor at (0,-1,0,64)'"},
		{"??_R4Foo@@6B@", "Foo::`RTTI Complete Object Locator'", "const Foo::`RTTI Complete Object Locator'"},
		{"?v@@YAXHZZ", "v", "void __cdecl v(int,...)"},
		{"??__Ex@@YAXXZ", "`dynamic initializer for 'x''", "void __cdecl `dynamic initializer for 'x''(void)"},
		{"?mv@@YAX$$QEAH@Z", "mv", "void __cdecl mv(int &&)"},
		{"?broken", "?broken", "?broken"},
		{"?x@@YAX9@Z", "?x@@YAX9@Z", "?x@@YAX9@Z"},
		{"plain", "plain", "plain"},
		{"", "", ""},
	} {
		if got := Name(tt.raw); got != tt.name {
			t.Errorf("Name(%q) = %q, want %q", tt.raw, got, tt.name)
		}
		if got := Full(tt.raw); got != tt.full {
			t.Errorf("Full(%q) = %q, want %q", tt.raw, got, tt.full)
		}
	}
}

// TestRecord undecorates every decorated name of the kernel's table and looks
// for the results among the rows that WinDbg printed for it.
func TestRecord(t *testing.T) {
	shared := os.Getenv("KDAP_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "..", "shared")
	}
	record := open(t, filepath.Join(shared, "reference", "windbg", "lab", "x-all.txt.xz"))
	rows := map[string]bool{}
	row := regexp.MustCompile("^[0-9a-f]{8}`[0-9a-f]{8} nt!(.*)$")
	for record.Scan() {
		if m := row.FindStringSubmatch(record.Text()); m != nil {
			rows[m[1]] = true
		}
	}
	tables, _ := filepath.Glob(filepath.Join(shared, "symbols", "isf", "*.json.xz"))
	if len(rows) == 0 || len(tables) == 0 {
		t.Skip("the record or the table is missing")
	}
	table := open(t, tables[0])
	name := regexp.MustCompile(`"(\?[^"]+)"`)
	seen := 0
	for table.Scan() {
		m := name.FindStringSubmatch(table.Text())
		if m == nil {
			continue
		}
		short, full := Name(m[1]), Full(m[1])
		if short == "`string'" {
			continue // x leaves them out
		}
		seen++
		if !rows[short+" ("+full+")"] && !rows[short+" = <no type information>"] {
			t.Errorf("%s\n\t%s (%s)", m[1], short, full)
		}
	}
	if seen < 1000 {
		t.Errorf("%d names seen", seen)
	}
}

func open(t *testing.T, path string) *bufio.Scanner {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("the reference data is missing: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	return s
}

// FuzzUndecorate: results are bounded, and a name that is not decorated stays.
func FuzzUndecorate(f *testing.F) {
	f.Add("??$Write@U?$A@$0BA@@@U?$B@$07@@U2@@?$C@$$A6AJPEBU_t@@@Z@@SAJPEBU_t@@2A@Z")
	f.Add("?a@?1??f@@YAXXZ@3HA")
	f.Add("??_C@_01KICIPPFI@?2@FNODOBFM@")
	f.Fuzz(func(t *testing.T, raw string) {
		for _, text := range []string{Name(raw), Full(raw)} {
			if len(text) > 2*maxText+2*len(raw)+100 {
				t.Fatalf("%d bytes from %d", len(text), len(raw))
			}
			if !strings.HasPrefix(raw, "?") && text != raw {
				t.Fatalf("%q became %q", raw, text)
			}
		}
	})
}
