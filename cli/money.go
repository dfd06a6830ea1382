package cli

import (
	"bytes"
	"reflect"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
)

// moneyFlag is an amount on the command line, in decimal currency.
type moneyFlag hexbid.Money

var typeOfMoneyFlag = reflect.TypeOf(moneyFlag(0))

func moneyMapper() kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("amount", &text); err != nil {
			return err
		}
		amount, err := hexbid.ParseMoney(text)
		if err != nil {
			return err
		}
		target.SetInt(int64(amount))
		return nil
	})
}

// strictNode decodes a mapping and refuses keys that the target does not have.
func strictNode(n *yaml.Node, into any) error {
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	return strictYAML(text, into)
}

// strictYAML decodes and refuses fields that the target does not have.
func strictYAML(text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	return d.Decode(into)
}
