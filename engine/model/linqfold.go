package model

// fold calls f with every element, or what the lambda makes of it.
func fold(q call, f func(v Value) error) error {
	var failed error
	err := q.items.Each(q.ctx, func(_, v Value) bool {
		if x, ok := v.(Failure); ok {
			failed = x.Err
			return false
		}
		if v, failed = q.fn(0)(q.ctx, v); failed == nil {
			failed = f(v)
		}
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	return err
}

func sum(q call) (Value, error) {
	var total Value
	err := fold(q, func(v Value) error {
		n, ok, err := numberOf(v)
		if err != nil {
			return err
		}
		if !ok {
			return SystemError(Fail)
		}
		if total == nil {
			total = n
			return nil
		}
		total, err = numberOp("+", total.(Number), n)
		return err
	})
	if total == nil {
		total = I32(0)
	}
	return total, err
}

func average(q call) (Value, error) {
	total, n := 0.0, 0
	err := fold(q, func(v Value) error {
		x, ok, err := numberOf(v)
		if err != nil {
			return err
		}
		if !ok {
			return SystemError(Fail)
		}
		total += x.Float()
		n++
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, SystemError(Bounds)
	}
	return fromFloat(total / float64(n)), nil
}

// extreme is Min (-1) and Max (1).
func extreme(q call, direction int) (Value, error) {
	var best Value
	err := fold(q, func(v Value) error {
		if best == nil {
			best = v
			return nil
		}
		n, err := compare(v, best)
		if n*direction > 0 {
			best = v
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case best == nil:
		return nil, SystemError(Bounds)
	}
	return best, nil
}

// aggregate takes (f) or (seed, f), and a lambda for the result.
func aggregate(q call) (Value, error) {
	var acc Value = I32(0)
	rest := q.args
	if len(rest) > 1 {
		acc, rest = rest[0], rest[1:]
	}
	if len(rest) == 0 || len(rest) > 2 {
		return nil, badCount(q.name)
	}
	for i, a := range rest {
		if _, ok := a.(*Function); !ok {
			return nil, mustBe(len(q.args)-len(rest)+i+1, "a method", q.name)
		}
	}
	var failed error
	err := q.items.Each(q.ctx, func(_, v Value) bool {
		acc, failed = rest[0].(*Function).Call(q.ctx, []Value{acc, v})
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	if err == nil && len(rest) == 2 {
		return rest[1].(*Function).Call(q.ctx, []Value{acc})
	}
	return acc, err
}
