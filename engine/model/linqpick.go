package model

import "context"

// pick returns the first or last element that fits.
func pick(q call, fromEnd, passErrors bool) (Value, error) {
	var found Value
	var failed error
	err := q.items.Each(q.ctx, func(_, v Value) bool {
		if len(q.args) > 0 {
			ok, err := q.test(q.ctx, 0, v)
			if err != nil && !passErrors {
				failed = err
				return false
			}
			if err != nil || !ok {
				return true
			}
		} else if _, bad := v.(Failure); bad && passErrors {
			return true
		}
		found = v
		return fromEnd
	})
	switch {
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, failed
	case found == nil:
		return nil, SystemError(Bounds)
	}
	return found, nil
}

func single(q call) (Value, error) {
	var found []Value
	var failed error
	err := q.items.Each(q.ctx, func(_, v Value) bool {
		if len(q.args) > 0 {
			ok, err := q.test(q.ctx, 0, v)
			if err != nil {
				failed = err
				return false
			}
			if !ok {
				return true
			}
		}
		found = append(found, v)
		return len(found) < 2
	})
	switch {
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, failed
	case len(found) == 0:
		return nil, SystemError(Bounds)
	case len(found) > 1:
		return nil, Errorf("More than one element was produced by this operation.")
	}
	return found[0], nil
}

func skip(q call) (Value, error) {
	n, _ := nonNegative(q.args[0])
	return Container(func(ctx context.Context, yield func(k, v Value) bool) error {
		i := uint64(0)
		return q.items.Each(ctx, func(k, v Value) bool {
			i++
			return i <= n || yield(k, v)
		})
	}), nil
}

func take(q call) (Value, error) {
	n, _ := nonNegative(q.args[0])
	return Container(func(ctx context.Context, yield func(k, v Value) bool) error {
		if n == 0 {
			return nil
		}
		i := uint64(0)
		return q.items.Each(ctx, func(k, v Value) bool {
			i++
			return yield(k, v) && i < n
		})
	}), nil
}

func skipWhile(q call) (Value, error) {
	return Container(func(ctx context.Context, yield func(k, v Value) bool) error {
		begun := false
		return q.items.Each(ctx, func(k, v Value) bool {
			if !begun {
				ok, err := q.test(ctx, 0, v)
				if err != nil {
					return yield(k, Failure{err})
				}
				begun = !ok
			}
			return !begun || yield(k, v)
		})
	}), nil
}

func takeWhile(q call) (Value, error) {
	return Container(func(ctx context.Context, yield func(k, v Value) bool) error {
		return q.items.Each(ctx, func(k, v Value) bool {
			ok, err := q.test(ctx, 0, v)
			if err != nil {
				return yield(k, Failure{err})
			}
			return ok && yield(k, v)
		})
	}), nil
}

// last takes the last n elements, or all but those.
func last(q call, these bool) (Value, error) {
	n, _ := nonNegative(q.args[0])
	return deferred(func(ctx context.Context) ([]pair, error) {
		pairs, err := q.items.collect(ctx)
		at := len(pairs) - int(min(n, uint64(len(pairs))))
		if these {
			return pairs[at:], err
		}
		return pairs[:at], err
	}), nil
}
