package store

// Condition is what must hold of a name when its group is judged, as the groups
// before leave it and before the group's own steps.
type Condition struct {
	Name string
	Is   ConditionKind
	// Version is what HasVersion and HasVerdict compare with, as Step.IfVersion.
	Version uint64
	// Field is what the error names; "name" when it is empty.
	Field string
}

// ConditionKind tells the conditions apart.
type ConditionKind uint8

// The conditions that a group can state.
const (
	// HasVersion: the record of the name has the version; 0 says that there is none.
	HasVersion ConditionKind = iota + 1
	// Exists: there is a record of the name.
	Exists
	// Unreferenced: no record refers to the name.
	Unreferenced
	// HasVerdict: the verdict on the name has the version; 0 says that there is none.
	HasVerdict
)
