package model

import "context"

// A seen set remembers values.
type seen struct {
	q    call
	i    int // of the comparer among the arguments
	keys map[string]bool
	list []Value
}

func (s *seen) has(ctx context.Context, v Value) (bool, error) {
	if s.i >= len(s.q.args) {
		key, ok := intrinsic(v)
		if !ok {
			return false, errCompare
		}
		return s.keys[key], nil
	}
	for _, old := range s.list {
		same, err := s.q.same(ctx, s.i, old, v)
		if err != nil || same {
			return same, err
		}
	}
	return false, nil
}

func (s *seen) add(v Value) {
	if key, ok := intrinsic(v); ok {
		if s.keys == nil {
			s.keys = map[string]bool{}
		}
		s.keys[key] = true
	}
	if s.i < len(s.q.args) {
		s.list = append(s.list, v)
	}
}

// renumbered makes a container of values from their collected sources.
func renumbered(f func(ctx context.Context, add func(v Value)) error) *Object {
	return Sequence(func(ctx context.Context, yield func(v Value) bool) error {
		var out []Value
		err := f(ctx, func(v Value) { out = append(out, v) })
		if err != nil {
			return err
		}
		for _, v := range out {
			if !yield(v) {
				return nil
			}
		}
		return nil
	})
}

func (q call) other() *Items {
	items, _ := iterable(q.args[0])
	return items
}

// unique adds the elements that were not there before.
func unique(ctx context.Context, s *seen, items *Items, add func(v Value)) error {
	pairs, err := items.collect(ctx)
	for _, p := range pairs {
		had, err := s.has(ctx, p.v)
		if err != nil {
			return err
		}
		if !had {
			s.add(p.v)
			add(p.v)
		}
	}
	return err
}

func distinct(q call) (Value, error) {
	return renumbered(func(ctx context.Context, add func(v Value)) error {
		return unique(ctx, &seen{q: q, i: 0}, q.items, add)
	}), nil
}

func union(q call) (Value, error) {
	return renumbered(func(ctx context.Context, add func(v Value)) error {
		s := &seen{q: q, i: 1}
		if err := unique(ctx, s, q.items, add); err != nil {
			return err
		}
		return unique(ctx, s, q.other(), add)
	}), nil
}

// filterBy keeps what the other container has, or has not, each once.
func filterBy(q call, keep bool) (Value, error) {
	return renumbered(func(ctx context.Context, add func(v Value)) error {
		others := &seen{q: q, i: 1}
		if err := unique(ctx, others, q.other(), func(Value) {}); err != nil {
			return err
		}
		return unique(ctx, &seen{q: q, i: 1}, q.items, func(v Value) {
			if had, err := others.has(ctx, v); err == nil && had == keep {
				add(v)
			}
		})
	}), nil
}

func concat(q call) (Value, error) {
	return Sequence(func(ctx context.Context, yield func(v Value) bool) error {
		more := true
		for _, items := range []*Items{q.items, q.other()} {
			err := items.Each(ctx, func(_, v Value) bool {
				more = yield(v)
				return more
			})
			if err != nil || !more {
				return err
			}
		}
		return nil
	}), nil
}

func joinItems(q call) (Value, error) {
	return renumbered(func(ctx context.Context, add func(v Value)) error {
		left, err := q.items.collect(ctx)
		if err != nil {
			return err
		}
		right, err := q.other().collect(ctx)
		if err != nil {
			return err
		}
		keys := make([]Value, len(right))
		for i, r := range right {
			if keys[i], err = q.fn(2)(ctx, r.v); err != nil {
				return err
			}
		}
		n := 0
		for _, l := range left {
			key, err := q.fn(1)(ctx, l.v)
			if err != nil {
				return err
			}
			for i, r := range right {
				if err := ctx.Err(); err != nil {
					return err
				}
				same, err := q.same(ctx, 4, key, keys[i])
				if err != nil {
					return err
				}
				if !same {
					continue
				}
				if n++; n > maxCollect {
					return Errorf("The container has more than %d elements", maxCollect)
				}
				v, err := q.fn(3)(ctx, l.v, r.v)
				if err != nil {
					v = Failure{err}
				}
				add(v)
			}
		}
		return nil
	}), nil
}

func sequenceEqual(q call) (Value, error) {
	a, err := q.items.collect(q.ctx)
	if err != nil {
		return nil, err
	}
	b, err := q.other().collect(q.ctx)
	if err != nil {
		return nil, err
	}
	if len(a) != len(b) {
		return Truth(false), nil
	}
	for i := range a {
		same, err := q.same(q.ctx, 1, a[i].v, b[i].v)
		if err != nil || !same {
			return Truth(false), err
		}
	}
	return Truth(true), nil
}
