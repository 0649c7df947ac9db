package expr

// Term reads one operand with its unary operators, as the numbers of display
// options are read: what follows it, "/p" too, is not part of it.
func Term(env Env, c *Cursor) (uint64, error) {
	if env.DefaultCpp() {
		return evaluateCpp(env, c)
	}
	m := &masm{env: env, c: c, noun: "Numeric expression"}
	v, err := m.unary()
	if err != nil {
		return 0, err
	}
	env.SetLast(v)
	return v, nil
}
