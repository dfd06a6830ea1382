package cli

import (
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// keywordMarks are the marks around a keyword, by how the keyword matches.
var keywordMarks = []struct {
	open, shut string
	match      pb.KeywordMatch
}{{`"`, `"`, pb.KeywordMatch_KEYWORD_MATCH_PHRASE}, {"[", "]", pb.KeywordMatch_KEYWORD_MATCH_EXACT}}

// parseKeyword reads the notation of search advertising: noodles is broad, "noodle soup" a phrase, [noodle soup] exact,
// and -hotpot negative. In a mapping {text, match, negative} the text is taken as it is.
func parseKeyword(text string) (*pb.Keyword, error) {
	k := &pb.Keyword{Match: pb.KeywordMatch_KEYWORD_MATCH_BROAD}
	k.Text, k.Negative = strings.CutPrefix(strings.TrimSpace(text), "-")
	for _, mark := range keywordMarks {
		inner, opened := strings.CutPrefix(k.Text, mark.open)
		if inner, shut := strings.CutSuffix(inner, mark.shut); opened && shut {
			k.Text, k.Match = inner, mark.match
		}
	}
	return k, nil
}

// keywordNode writes the notation if it reads back as the same keyword, and otherwise a mapping.
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
	if back, _ := parseKeyword(text); !proto.Equal(back, k) {
		return nil
	}
	return textNode(text)
}
