package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// compare orders two values: numbers and texts.
func compare(a, b Value) (int, error) {
	as, aok := a.(String)
	bs, bok := b.(String)
	if aok && bok {
		return strings.Compare(string(as), string(bs)), nil
	}
	x, xok, err := numberOf(a)
	if err != nil {
		return 0, err
	}
	y, yok, err := numberOf(b)
	switch {
	case err != nil:
		return 0, err
	case !xok || !yok:
		return 0, errCompare
	}
	k := usual(x, y)
	return order(convertTo(x, k), convertTo(y, k)), nil
}

var errCompare = Errorf("Cannot compare non-intrinsic values to each other.")

// equal reports whether two intrinsic values are the same.
func equal(a, b Value) (bool, error) {
	_, as := a.(String)
	_, bs := b.(String)
	if as != bs {
		if _, ok, _ := numberOf(a); ok || as {
			if _, ok, _ := numberOf(b); ok || bs {
				return false, nil
			}
		}
	}
	n, err := compare(a, b)
	return n == 0, err
}

// same compares with the query's own comparer, if it has one.
func (q call) same(ctx context.Context, i int, a, b Value) (bool, error) {
	if i < len(q.args) {
		r, err := q.fn(i)(ctx, a, b)
		if err != nil {
			return false, err
		}
		return truth(r)
	}
	return equal(a, b)
}

func orderBy(q call, direction int) (Value, error) {
	f := q.fn(0)
	return deferred(func(ctx context.Context) ([]pair, error) {
		pairs, err := q.items.collect(ctx)
		if err != nil {
			return nil, err
		}
		type keyed struct {
			pair
			by Value
		}
		list := make([]keyed, len(pairs))
		for i, p := range pairs {
			by, err := f(ctx, p.v)
			if err != nil {
				by = Failure{err}
			}
			list[i] = keyed{p, by}
		}
		var failed error
		slices.SortStableFunc(list, func(a, b keyed) int {
			n, err := compare(a.by, b.by)
			if err != nil && failed == nil {
				failed = err
			}
			return n * direction
		})
		for i := range list {
			pairs[i] = list[i].pair
		}
		return pairs, failed
	}), nil
}

func groupBy(q call) (Value, error) {
	f := q.fn(0)
	return deferred(func(ctx context.Context) ([]pair, error) {
		type group struct {
			key Value
			of  []Value
		}
		var groups []*group
		byKey := map[string]*group{}
		pairs, err := q.items.collect(ctx)
		for _, p := range pairs {
			key, err := f(ctx, p.v)
			if err != nil {
				continue
			}
			if n, ok := key.(Native); ok {
				if num, ok, err := numberOf(n); ok && err == nil {
					key = num
				}
			}
			id, ok := intrinsic(key)
			if !ok {
				return nil, errCompare
			}
			g := byKey[id]
			if g == nil {
				g = &group{key: key}
				byKey[id] = g
				groups = append(groups, g)
			}
			g.of = append(g.of, p.v)
		}
		out := make([]pair, len(groups))
		for i, g := range groups {
			out[i] = pair{g.key, List(g.of...)}
		}
		return out, err
	}), nil
}

// intrinsic returns what tells a number or text from others.
func intrinsic(v Value) (string, bool) {
	if s, ok := v.(String); ok {
		return "s" + string(s), true
	}
	n, ok, err := numberOf(v)
	if !ok || err != nil {
		return "", false
	}
	if n.Kind == Double {
		return fmt.Sprint("f", n.Float()), true
	}
	return fmt.Sprint("n", n.Int()), true
}
