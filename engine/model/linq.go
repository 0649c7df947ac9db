package model

import (
	"context"
	"slices"
	"strings"
)

// A query is a method of containers. Its arguments are described by letters:
// f a lambda, n a number, c a container, v any value; capitals may be left out.
type query struct {
	args string
	call func(q call) (Value, error)
}

// A call is one use of a query.
type call struct {
	ctx   context.Context
	ev    *evaluator
	name  string
	items *Items
	args  []Value
}

// pair is an element with its key.
type pair struct{ key, v Value }

// queries are the methods of containers.
var queries map[string]query

func init() {
	queries = map[string]query{
		"Where":             {"f", where},
		"Select":            {"f", selectEach},
		"SelectMany":        {"f", selectMany},
		"Flatten":           {"F", flatten},
		"OrderBy":           {"fF", func(q call) (Value, error) { return orderBy(q, 1) }},
		"OrderByDescending": {"fF", func(q call) (Value, error) { return orderBy(q, -1) }},
		"GroupBy":           {"fF", groupBy},
		"First":             {"F", func(q call) (Value, error) { return pick(q, false, false) }},
		"Last":              {"F", func(q call) (Value, error) { return pick(q, true, false) }},
		"FirstNonError":     {"F", func(q call) (Value, error) { return pick(q, false, true) }},
		"LastNonError":      {"F", func(q call) (Value, error) { return pick(q, true, true) }},
		"Single":            {"F", single},
		"Skip":              {"n", skip},
		"Take":              {"n", take},
		"SkipWhile":         {"f", skipWhile},
		"TakeWhile":         {"f", takeWhile},
		"SkipLast":          {"n", func(q call) (Value, error) { return last(q, false) }},
		"TakeLast":          {"n", func(q call) (Value, error) { return last(q, true) }},
		"Count":             {"", count},
		"Any":               {"f", func(q call) (Value, error) { return quantify(q, true, false) }},
		"All":               {"f", func(q call) (Value, error) { return quantify(q, false, false) }},
		"AllNonError":       {"f", func(q call) (Value, error) { return quantify(q, false, true) }},
		"Contains":          {"vF", contains},
		"Distinct":          {"F", distinct},
		"Union":             {"cF", union},
		"Except":            {"cF", func(q call) (Value, error) { return filterBy(q, false) }},
		"Intersect":         {"cF", func(q call) (Value, error) { return filterBy(q, true) }},
		"Concat":            {"c", concat},
		"Join":              {"cfffF", joinItems},
		"SequenceEqual":     {"cF", sequenceEqual},
		"Reverse":           {"", reverse},
		"Sum":               {"F", sum},
		"Average":           {"F", average},
		"Min":               {"F", func(q call) (Value, error) { return extreme(q, -1) }},
		"Max":               {"F", func(q call) (Value, error) { return extreme(q, 1) }},
		"Aggregate":         {"", aggregate},
		"ToArray":           {"", toArray},
	}
}

// bind returns the method of a container.
func (q query) bind(ev *evaluator, name string, items *Items) *Function {
	return &Function{Name: name, Call: func(ctx context.Context, args []Value) (Value, error) {
		if name != "Aggregate" {
			if err := q.check(name, args); err != nil {
				return nil, err
			}
		}
		return q.call(call{ctx, ev, name, items, args})
	}}
}

func (q query) check(name string, args []Value) error {
	least := len(strings.TrimRight(q.args, "F"))
	if len(args) < least || len(args) > len(q.args) {
		return badCount(name)
	}
	for i, a := range args {
		ok, what := true, ""
		switch q.args[i] {
		case 'f', 'F':
			_, ok = a.(*Function)
			what = "a method"
		case 'n':
			_, ok = nonNegative(a)
			what = "an non-negative integer"
		case 'c':
			_, ok = iterable(a)
			what = "an iterable object"
		}
		if !ok {
			return mustBe(i+1, what, name)
		}
	}
	return nil
}

// fn returns an argument that is a lambda, or the identity.
func (q call) fn(i int) func(ctx context.Context, args ...Value) (Value, error) {
	if i >= len(q.args) {
		return func(_ context.Context, args ...Value) (Value, error) { return args[0], nil }
	}
	f := q.args[i].(*Function)
	return func(ctx context.Context, args ...Value) (Value, error) {
		for _, a := range args {
			if x, ok := a.(Failure); ok {
				return nil, x.Err
			}
		}
		return f.Call(ctx, args)
	}
}

// test calls a predicate.
func (q call) test(ctx context.Context, i int, v Value) (bool, error) {
	r, err := q.fn(i)(ctx, v)
	if err != nil {
		return false, err
	}
	return truth(r)
}

func where(q call) (Value, error) {
	return Container(func(ctx context.Context, yield func(k, v Value) bool) error {
		return q.items.Each(ctx, func(k, v Value) bool {
			ok, err := q.test(ctx, 0, v)
			switch {
			case err != nil:
				return yield(k, Failure{err})
			case !ok:
				return ctx.Err() == nil
			}
			return yield(k, v)
		})
	}), nil
}

func selectEach(q call) (Value, error) {
	f := q.fn(0)
	return Container(func(ctx context.Context, yield func(k, v Value) bool) error {
		return q.items.Each(ctx, func(k, v Value) bool {
			r, err := f(ctx, v)
			if err != nil {
				r = Failure{err}
			}
			return yield(k, r)
		})
	}), nil
}

func selectMany(q call) (Value, error) {
	f := q.fn(0)
	return Sequence(func(ctx context.Context, yield func(v Value) bool) error {
		var inner error
		err := q.items.Each(ctx, func(_, v Value) bool {
			r, err := f(ctx, v)
			if err != nil {
				return yield(Failure{err})
			}
			items, ok := iterable(r)
			if !ok {
				return yield(r)
			}
			more := true
			inner = items.Each(ctx, func(_, v Value) bool {
				more = yield(v)
				return more
			})
			return more && inner == nil
		})
		if err == nil {
			err = inner
		}
		return err
	}), nil
}

// flatten walks breadth first: all elements, then what they hold, then what
// that holds.
func flatten(q call) (Value, error) {
	f := q.fn(0)
	return Sequence(func(ctx context.Context, yield func(v Value) bool) error {
		level := []*Items{q.items}
		total := 0
		for depth := 0; len(level) > 0 && depth < maxDepth; depth++ {
			var next []*Items
			for _, items := range level {
				more := true
				err := items.Each(ctx, func(_, v Value) bool {
					if more = yield(v); !more {
						return false
					}
					r, err := f(ctx, v)
					if inner, ok := iterable(r); err == nil && ok && total < maxCollect {
						next = append(next, inner)
						total++
					}
					return true
				})
				if err != nil || !more {
					return err
				}
			}
			level = next
		}
		return nil
	}), nil
}

// collect returns all elements.
func (it *Items) collect(ctx context.Context) ([]pair, error) {
	var out []pair
	full := false
	err := it.Each(ctx, func(k, v Value) bool {
		full = len(out) >= maxCollect
		if !full {
			out = append(out, pair{k, v})
		}
		return !full
	})
	if err == nil && full {
		err = Errorf("The container has more than %d elements", maxCollect)
	}
	return out, err
}

// deferred makes a container of what a function computes when it is walked.
func deferred(f func(ctx context.Context) ([]pair, error)) *Object {
	return Container(func(ctx context.Context, yield func(k, v Value) bool) error {
		pairs, err := f(ctx)
		if err != nil {
			return err // in part, these would be the wrong elements
		}
		for _, p := range pairs {
			if !yield(p.key, p.v) {
				return nil
			}
		}
		return nil
	})
}

func count(q call) (Value, error) {
	n := uint64(0)
	err := q.items.Each(q.ctx, func(_, _ Value) bool {
		n++
		return true
	})
	return U64(n), err
}

// quantify is Any (some) and All.
func quantify(q call, some, passErrors bool) (Value, error) {
	result := !some
	var failed error
	err := q.items.Each(q.ctx, func(_, v Value) bool {
		ok, err := q.test(q.ctx, 0, v)
		switch {
		case err != nil && passErrors:
			return true
		case err != nil:
			failed = err
			return false
		case ok == some:
			result = some
			return false
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return Truth(result), err
}

func contains(q call) (Value, error) {
	found := false
	var failed error
	err := q.items.Each(q.ctx, func(_, v Value) bool {
		found, failed = q.same(q.ctx, 1, v, q.args[0])
		return !found && failed == nil
	})
	if err == nil {
		err = failed
	}
	return Truth(found), err
}

func reverse(q call) (Value, error) {
	return deferred(func(ctx context.Context) ([]pair, error) {
		pairs, err := q.items.collect(ctx)
		slices.Reverse(pairs)
		return pairs, err
	}), nil
}

func toArray(q call) (Value, error) {
	pairs, err := q.items.collect(q.ctx)
	values := make([]Value, len(pairs))
	for i, p := range pairs {
		values[i] = p.v
	}
	return List(values...), err
}
