package x86

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A program of a PDB's frame data computes the registers of the caller. It is
// text in postfix form: numbers, registers, temporary variables, the operators
// + - * / % @ (align down) ^ (the dword there) and "name value =".
type program struct {
	vars     map[string]uint32
	constant func(name string) (uint32, error) // of the names that begin with a dot
	load     func(addr uint32) (uint32, error)
}

// Bounds of a program: the longest that compilers write have some 40 words.
const (
	maxProgram      = 4096 // bytes
	maxProgramStack = 32
)

var errProgram = errors.New("malformed frame program")

// run executes the program's text. Variables that it sets are in vars.
func (p *program) run(text string) error {
	if len(text) > maxProgram {
		return fmt.Errorf("%w: %d bytes", errProgram, len(text))
	}
	var stack []string // operands as written; values of operators as numbers
	value := func() (uint32, error) {
		if len(stack) == 0 {
			return 0, fmt.Errorf("%w: too few operands", errProgram)
		}
		word := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		return p.value(word)
	}
	for word := range strings.FieldsSeq(text) {
		switch word {
		case "=":
			v, err := value()
			if err != nil {
				return err
			}
			if len(stack) == 0 || stack[len(stack)-1][0] != '$' {
				return fmt.Errorf("%w: nothing to assign to", errProgram)
			}
			p.vars[variable(stack[len(stack)-1])] = v
			stack = stack[:len(stack)-1]
		case "^":
			at, err := value()
			if err != nil {
				return err
			}
			v, err := p.load(at)
			if err != nil {
				return err
			}
			stack = append(stack, strconv.FormatUint(uint64(v), 10))
		case "+", "-", "*", "/", "%", "@":
			right, err := value()
			if err != nil {
				return err
			}
			left, err := value()
			if err != nil {
				return err
			}
			v, err := operate(word, left, right)
			if err != nil {
				return err
			}
			stack = append(stack, strconv.FormatUint(uint64(v), 10))
		default:
			if len(stack) == maxProgramStack {
				return fmt.Errorf("%w: too many operands", errProgram)
			}
			stack = append(stack, word)
		}
	}
	return nil
}

// registerNumbers are the numbers that programs also use for registers: those
// of CodeView.
var registerNumbers = map[string]string{
	"$17": "$eax", "$18": "$ecx", "$19": "$edx", "$20": "$ebx", "$21": "$esp", "$22": "$ebp", "$23": "$esi", "$24": "$edi",
}

func variable(word string) string {
	if name, ok := registerNumbers[word]; ok {
		return name
	}
	return word
}

func (p *program) value(word string) (uint32, error) {
	switch word[0] {
	case '$':
		v, ok := p.vars[variable(word)]
		if !ok {
			return 0, fmt.Errorf("%w: %s has no value", errProgram, word)
		}
		return v, nil
	case '.':
		return p.constant(word)
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q", errProgram, word)
	}
	return uint32(n), nil
}

func operate(op string, left, right uint32) (uint32, error) {
	switch op {
	case "+":
		return left + right, nil
	case "-":
		return left - right, nil
	case "*":
		return left * right, nil
	case "@":
		return left &^ (right - 1), nil
	}
	if right == 0 {
		return 0, fmt.Errorf("%w: division by 0", errProgram)
	}
	if op == "/" {
		return left / right, nil
	}
	return left % right, nil
}
