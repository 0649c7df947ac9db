package model

import (
	"context"
	"slices"
)

// A node is a part of a parsed expression.
type node interface {
	eval(ctx context.Context, ev *evaluator, s *scope) (Value, error)
}

type (
	valueNode    struct{ v Value }
	symbolNode   struct{ module, name string }
	registerNode struct{ name string }
	variableNode struct{ name string }
	unaryNode    struct {
		op byte
		x  node
	}
	binaryNode struct {
		op          string
		left, right node
	}
	condNode   struct{ cond, yes, no node }
	assignNode struct {
		op          string
		left, right node
	}
	lambdaNode struct {
		params []string
		body   node
	}
	memberNode struct {
		x     node
		name  string
		arrow bool
	}
	indexNode struct {
		x    node
		args []node
	}
	callNode struct {
		f    node
		args []node
	}
	castNode struct {
		t typeRef
		x node
	}
	sizeofNode struct {
		t *typeRef
		x node
	}
	newNode struct {
		names  []string
		values []node
	}
)

func (n *newNode) set(name string, x node) {
	if i := slices.Index(n.names, name); i >= 0 {
		n.values[i] = x
		return
	}
	n.names, n.values = append(n.names, name), append(n.values, x)
}
