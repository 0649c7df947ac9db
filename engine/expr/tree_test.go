package expr

import (
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// A tree is a random MASM expression. Its value is computed with big integers
// cut to 64 bits, its text is written with no more brackets than the grammar's
// five levels ask for: the evaluator must find the same value.
type tree struct {
	op   string // "" for a number
	n    uint64
	a, b *tree // unary operators have only a
}

var treeLevels = map[string]int{
	"&": 1, "|": 1, "^": 1, "and": 1, "or": 1, "xor": 1,
	"=": 2, "==": 2, "!=": 2, "<": 2, ">": 2, "<=": 2, ">=": 2,
	"<<": 3, ">>": 3, ">>>": 3,
	"+": 4, "-": 4,
	"*": 5, "/": 5, "%": 5, "mod": 5,
	"neg": 6, "not": 6, "hi": 6, "low": 6, "~": 6,
}

func randomTree(r *rand.Rand, depth int) *tree {
	if depth == 0 || r.IntN(4) == 0 {
		return &tree{n: r.Uint64() >> r.IntN(64)}
	}
	ops := []string{
		"&", "|", "^", "and", "or", "xor", "=", "==", "!=", "<", ">", "<=", ">=", "<<", ">>", ">>>",
		"+", "-", "*", "/", "%", "mod", "neg", "not", "hi", "low", "~",
	}
	t := &tree{op: ops[r.IntN(len(ops))], a: randomTree(r, depth-1)}
	if treeLevels[t.op] < 6 {
		t.b = randomTree(r, depth-1)
	}
	return t
}

func (t *tree) level() int {
	if t.op == "" {
		return 7
	}
	return treeLevels[t.op]
}

func (t *tree) write(b *strings.Builder, r *rand.Rand, least int) {
	if t.level() < least || r.IntN(12) == 0 {
		open, closing := "(", ")"
		if r.IntN(3) == 0 {
			open, closing = "[", "]"
		}
		b.WriteString(open)
		t.writeBare(b, r)
		b.WriteString(closing)
		return
	}
	t.writeBare(b, r)
}

func (t *tree) writeBare(b *strings.Builder, r *rand.Rand) {
	switch {
	case t.op == "":
		b.WriteString([]string{
			strconv.FormatUint(t.n, 16), "0x" + strconv.FormatUint(t.n, 16), "0n" + strconv.FormatUint(t.n, 10),
			"0t" + strconv.FormatUint(t.n, 8), "0y" + strconv.FormatUint(t.n, 2), "0" + strconv.FormatUint(t.n, 16) + "h",
		}[r.IntN(6)])
	case t.b == nil:
		word := map[string]string{"neg": "-"}[t.op]
		if word == "" {
			word = t.op
		}
		b.WriteString(word + " ")
		t.a.write(b, r, 6)
	default:
		t.a.write(b, r, t.level())
		b.WriteString(" " + t.op + " ")
		t.b.write(b, r, t.level()+1)
	}
}

var two64 = new(big.Int).Lsh(big.NewInt(1), 64)

func signedBig(v *big.Int) *big.Int {
	if v.Bit(63) == 1 {
		return new(big.Int).Sub(v, two64)
	}
	return v
}

// value computes a tree; false for a division by zero.
func (t *tree) value() (*big.Int, bool) {
	if t.op == "" {
		return new(big.Int).SetUint64(t.n), true
	}
	a, ok := t.a.value()
	if !ok {
		return nil, false
	}
	b := new(big.Int)
	if t.b != nil {
		if b, ok = t.b.value(); !ok {
			return nil, false
		}
	}
	out, sa, sb := new(big.Int), signedBig(a), signedBig(b)
	yes := func(c bool) *big.Int {
		if c {
			return big.NewInt(1)
		}
		return new(big.Int)
	}
	count := uint(new(big.Int).And(b, big.NewInt(63)).Uint64())
	switch t.op {
	case "&", "and":
		out.And(a, b)
	case "|", "or":
		out.Or(a, b)
	case "^", "xor":
		out.Xor(a, b)
	case "=", "==":
		out = yes(a.Cmp(b) == 0)
	case "!=":
		out = yes(a.Cmp(b) != 0)
	case "<":
		out = yes(sa.Cmp(sb) < 0)
	case ">":
		out = yes(sa.Cmp(sb) > 0)
	case "<=":
		out = yes(sa.Cmp(sb) <= 0)
	case ">=":
		out = yes(sa.Cmp(sb) >= 0)
	case "<<":
		out.Lsh(a, count)
	case ">>":
		out.Rsh(a, count)
	case ">>>":
		out.Rsh(sa, count)
	case "+":
		out.Add(a, b)
	case "-":
		out.Sub(a, b)
	case "*":
		out.Mul(a, b)
	case "/", "%", "mod":
		if b.Sign() == 0 {
			return nil, false
		}
		if t.op == "/" {
			out.Quo(sa, sb)
		} else {
			out.Rem(sa, sb)
		}
	case "neg":
		out.Neg(a)
	case "not", "~":
		out = yes(a.Sign() == 0)
	case "hi":
		out.And(new(big.Int).Rsh(a, 16), big.NewInt(0xffff))
	case "low":
		out.And(a, big.NewInt(0xffff))
	}
	return out.Mod(out, two64), true
}

func TestMasmTrees(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	env := &testEnv{radix: 16}
	values := 0
	for range 5000 {
		tree := randomTree(r, 1+r.IntN(5))
		var b strings.Builder
		tree.write(&b, r, 0)
		want, ok := tree.value()
		c := NewCursor(b.String())
		got, err := Masm(env, c)
		switch {
		case !ok:
			if e, isOurs := err.(*Error); !isOurs || e.Text != "Operand error at" {
				t.Fatalf("%s: %x, %v; want a division by zero", &b, got, err)
			}
		case err != nil || c.Extra() != nil || got != want.Uint64():
			t.Fatalf("%s: %x, %v, rest %q; want %x", &b, got, err, c.Rest(), want)
		default:
			values++
		}
	}
	if values < 2000 {
		t.Errorf("only %d of 5000 trees have a value", values)
	}
}
