package cli

import _ "embed"

//go:embed templates/template.yaml
var yamlTemplate string

//go:embed templates/template.jsonl
var jsonlTemplate string

//go:embed templates/template.csv
var csvTemplate string

// templates are commented files that can be applied as they are.
var templates = map[string]string{"yaml": yamlTemplate, "jsonl": jsonlTemplate, "csv": csvTemplate}
