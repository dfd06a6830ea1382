package cli

import (
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// setKeywords reads the notation of search advertising: noodles is broad,
// "noodle soup" a phrase, [noodle soup] exact, and -hotpot negative. A mapping
// {text, match, negative} takes its text as it is.
func setKeywords(m *pb.Campaign, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		texts, err := items(n)
		for _, text := range texts {
			m.Keywords = append(m.Keywords, parseKeyword(text))
		}
		return err
	}
	for _, item := range n.Content {
		k, err := readKeyword(item)
		if err != nil {
			return err
		}
		m.Keywords = append(m.Keywords, k)
	}
	return nil
}

func readKeyword(n *yaml.Node) (*pb.Keyword, error) {
	if n.Kind != yaml.MappingNode {
		text, err := scalar(n)
		return parseKeyword(text), err
	}
	var k struct {
		Text     string `yaml:"text"`
		Match    string `yaml:"match"`
		Negative bool   `yaml:"negative"`
	}
	if err := strictNode(n, &k); err != nil {
		return nil, err
	}
	out := &pb.Keyword{Text: k.Text, Negative: k.Negative}
	if k.Match == "" {
		return out, nil
	}
	match, err := parseEnum[pb.KeywordMatch](k.Match)
	out.Match = match
	return out, err
}

// keywordMarks are the marks around a keyword, by how it matches.
var keywordMarks = []struct {
	open, shut string
	match      pb.KeywordMatch
}{{`"`, `"`, pb.KeywordMatch_KEYWORD_MATCH_PHRASE}, {"[", "]", pb.KeywordMatch_KEYWORD_MATCH_EXACT}}

func parseKeyword(text string) *pb.Keyword {
	k := &pb.Keyword{Match: pb.KeywordMatch_KEYWORD_MATCH_BROAD}
	k.Text, k.Negative = strings.CutPrefix(strings.TrimSpace(text), "-")
	for _, mark := range keywordMarks {
		inner, opened := strings.CutPrefix(k.Text, mark.open)
		if inner, shut := strings.CutSuffix(inner, mark.shut); opened && shut {
			k.Text, k.Match = inner, mark.match
		}
	}
	return k
}

func getKeywords(m *pb.Campaign) *yaml.Node { return listNode(m.GetKeywords(), keywordNode) }

// keywordNode writes the notation where it reads back as the same keyword, else
// a mapping.
func keywordNode(k *pb.Keyword) *yaml.Node {
	text := k.GetText()
	for _, mark := range keywordMarks {
		if k.GetMatch() == mark.match {
			text = mark.open + text + mark.shut
		}
	}
	if k.GetNegative() {
		text = "-" + text
	}
	if proto.Equal(parseKeyword(text), k) {
		return textNode(text)
	}
	mapping := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	put(mapping, "text", textNode(k.GetText()))
	if k.GetMatch() != 0 {
		put(mapping, "match", textNode(enumName(k.GetMatch())))
	}
	if k.GetNegative() {
		put(mapping, "negative", plainNode("true"))
	}
	return mapping
}
