package access

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// forged signs claims with a key of the attacker's behind a header of their choice.
func (p *provider) forged(t *testing.T, own *rsa.PrivateKey, header map[string]any) string {
	t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"iss": p.URL, "sub": "42", "aud": "hexbid", "iat": p.now.Load(),
		"exp": p.now.Load() + 600})
	if err != nil {
		t.Fatal(err)
	}
	signed := encode(h) + "." + encode(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, own, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(signature)
}

// A token says nothing about the key that it is checked with: one that brings its key, or says where to fetch it, or
// what else to understand, is none of the provider's.
func TestATokenDoesNotBringItsKey(t *testing.T) {
	o, p := openWithProvider(t)
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk := map[string]any{"kty": "RSA", "kid": "own", "n": encode(own.N.Bytes()),
		"e": encode(big.NewInt(int64(own.E)).Bytes())}
	for what, header := range map[string]map[string]any{
		"its key":             {"alg": "RS256", "kid": "own", "jwk": jwk},
		"its key as theirs":   {"alg": "RS256", "kid": "rsa", "jwk": jwk},
		"where its key is":    {"alg": "RS256", "kid": "own", "jku": p.URL + "/own"},
		"a certificate":       {"alg": "RS256", "kid": "rsa", "x5u": p.URL + "/own"},
		"no name of a key":    {"alg": "RS256"},
		"a path":              {"alg": "RS256", "kid": "../../etc/passwd"},
		"a number for a name": {"alg": "RS256", "kid": 7},
		"no algorithm":        {"kid": "rsa"},
		"two algorithms":      {"alg": []string{"RS256", "none"}, "kid": "rsa"},
		"another of its kind": {"alg": "PS256", "kid": "rsa"},
		"a critical part":     {"alg": "RS256", "kid": "rsa", "crit": []string{"b64"}, "b64": false},
		"a long header":       {"alg": "RS256", "kid": strings.Repeat("k", maxTokenBytes)},
		"a deep header": {"alg": "RS256", "kid": "rsa",
			"x": json.RawMessage(strings.Repeat("[", 3000) + strings.Repeat("]", 3000))},
	} {
		if who, refusal := o.try(p.forged(t, own, header), p.clock()); refusal == NotRefused || who.ID != "" {
			t.Errorf("a token with %s is %q's", what, who.ID)
		}
	}
	if _, refusal := o.try(p.forged(t, p.rsa, map[string]any{"alg": "RS256", "kid": "rsa"}), p.clock()); refusal !=
		NotRefused {
		t.Errorf("the provider's own is refused: %s", refusal)
	}
}

// Every character of a token counts: of header and claims each change is refused, and of the signature each that
// changes its bytes.
func TestAChangedTokenIsRefused(t *testing.T) {
	o, p := openWithProvider(t)
	for algorithm, kid := range map[string]string{"RS256": "rsa", "ES256": "ec"} {
		good := p.token(t, algorithm, kid, nil)
		if _, refusal := o.try(good, p.clock()); refusal != NotRefused {
			t.Fatalf("%s: %s", algorithm, refusal)
		}
		for i := range good {
			for _, c := range []byte{'A', 'z', '-', '.', '=', '\n', 0x80} {
				changed := []byte(good)
				if changed[i] == c {
					continue
				}
				changed[i] = c
				if who, refusal := o.try(string(changed), p.clock()); refusal == NotRefused {
					t.Errorf("%s, character %d as %q: %q", algorithm, i, c, who.ID)
				}
			}
		}
		for _, longer := range []string{good + "A", good + ".", good + "=", " " + good, good + " ", good + "." + good} {
			if _, refusal := o.try(longer, p.clock()); refusal == NotRefused {
				t.Errorf("%s: %q is taken", algorithm, longer)
			}
		}
	}
}

// secrets are the names of what may be compared in constant time alone.
var secrets = []string{"hash", "Hash", "SecretHash", "sum", "Bearer", "secret", "kept"}

// Nothing that holds a secret is compared by ==, or by a function that returns at the first difference: the time that
// an answer takes would tell how much of a guess is right. What proves a key, and what remembers a proof, compare by
// crypto/subtle.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	constant := map[string]bool{}
	for _, name := range slices.DeleteFunc(files, func(n string) bool { return strings.HasSuffix(n, "_test.go") }) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is {
				if isConstant(t, name, f) {
					constant[f.Name.Name] = true
				}
			}
		}
	}
	for _, name := range []string{"proves", "InForce"} {
		if !constant[name] {
			t.Errorf("%s does not compare by crypto/subtle", name)
		}
	}
}

// isConstant reports whether a function compares by crypto/subtle. It complains of other comparisons of secrets.
func isConstant(t *testing.T, file string, f *ast.FuncDecl) (constant bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			switch called(n) {
			case "subtle.ConstantTimeCompare":
				constant = true
			case "bytes.Equal", "bytes.Compare", "strings.Compare", "strings.EqualFold", "slices.Equal", "reflect.DeepEqual":
				if slices.ContainsFunc(n.Args, isSecret) {
					t.Errorf("%s: %s compares a secret by %s", file, f.Name.Name, called(n))
				}
			}
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (isSecret(n.X) || isSecret(n.Y)) && !isEmptyText(n.Y) {
				t.Errorf("%s: %s compares a secret by %s", file, f.Name.Name, n.Op)
			}
		}
		return true
	})
	return constant
}

// called returns the name of a function of another package that is called.
func called(c *ast.CallExpr) string {
	if s, is := c.Fun.(*ast.SelectorExpr); is {
		if of, is := s.X.(*ast.Ident); is {
			return of.Name + "." + s.Sel.Name
		}
	}
	return ""
}

// isSecret reports whether an expression is a variable or a field of a secret's name, or a part of one.
func isSecret(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return slices.Contains(secrets, e.Name)
	case *ast.SelectorExpr:
		return slices.Contains(secrets, e.Sel.Name)
	case *ast.SliceExpr:
		return isSecret(e.X)
	case *ast.StarExpr:
		return isSecret(e.X)
	}
	return false
}

func isEmptyText(e ast.Expr) bool {
	l, is := e.(*ast.BasicLit)
	return is && l.Value == `""`
}
