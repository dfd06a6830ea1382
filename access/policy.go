package access

import "github.com/hexbid/hexbid"

// Method is something that a caller may ask for: a method of the wire contract, or a part of the program's own work.
type Method uint8

// The methods. Those of a contract's service have its order.
const (
	OperatorsOwn Method = iota // what no method of the contract does, such as handing live states in

	SearchNearby
	Trace // the exhaustive trace of a search
	RecordEvents
	StreamEvents

	CreateAdvertiser
	GetAdvertiser
	ListAdvertisers
	UpdateAdvertiser
	DeleteAdvertiser
	CreateProgram
	GetProgram
	ListPrograms
	UpdateProgram
	DeleteProgram
	CreatePlace
	GetPlace
	ListPlaces
	UpdatePlace
	DeletePlace
	CreateCampaign
	GetCampaign
	ListCampaigns
	UpdateCampaign
	DeleteCampaign
	ReviewPlace
	Import
	ListRegions
	Explain

	GetCampaignSpend
	ListCampaignSpend
	GetAdvertiserBalance
	CreateTopUp
	CreateWithdrawal
	CreateCredit
	SetBilling
	GetStatement
	ListCharges
	GetReceipt
	ListRoots
	WatchAlerts
	GetViewerHistory
	ExportViewer
	EraseViewerHistory
	CreateBackup

	WhoAmI
	CreateUser
	GetUser
	ListUsers
	UpdateUser
	DeleteUser
	CreateClient
	GetClient
	ListClients
	UpdateClient
	DeleteClient
	CreateKey
	GetKey
	ListKeys
	UpdateKey
	DeleteKey
	RotateKey
	SetMembership

	GetMarket
	UpdateMarket

	ListChanges
	GetChange
	UndoChange

	methodCount
)

// Rule says who may call a method, and on whose resources. Operators, and the program itself, may call every method on
// all of them.
type Rule struct {
	Name string // of the method, without the package of the contract; empty for what is no method of the contract
	// Auditor: auditors may, on all resources.
	Auditor bool
	// Member is the least level at the advertiser whose resource it is. LevelNone: members may not.
	Member hexbid.Level
	// Client: search clients may. What they report are events of their own tokens and of those granted to them.
	Client bool
	// Self: users and clients may, on what is their own: themselves and their keys.
	Self bool
}

// These shorten the table.
const (
	yes, no = true, false
	none    = hexbid.LevelNone
	viewer  = hexbid.LevelViewer
	editor  = hexbid.LevelEditor
	admin   = hexbid.LevelAdmin
)

// rules is the policy. A test compares its names with the contract's, so that no method is without a row.
var rules = [methodCount]Rule{
	//                                                            auditor member  client self
	OperatorsOwn: {"", no, none, no, no},

	SearchNearby: {"SearchService/SearchNearby", no, none, yes, no},
	Trace:        {"", no, none, no, no},
	RecordEvents: {"EventService/RecordEvents", no, none, yes, no},
	StreamEvents: {"EventService/StreamEvents", no, none, yes, no},

	CreateAdvertiser: {"CampaignService/CreateAdvertiser", no, none, no, no},
	GetAdvertiser:    {"CampaignService/GetAdvertiser", yes, viewer, no, no},
	ListAdvertisers:  {"CampaignService/ListAdvertisers", yes, viewer, no, no},
	UpdateAdvertiser: {"CampaignService/UpdateAdvertiser", no, admin, no, no},
	DeleteAdvertiser: {"CampaignService/DeleteAdvertiser", no, none, no, no},
	CreateProgram:    {"CampaignService/CreateProgram", no, editor, no, no},
	GetProgram:       {"CampaignService/GetProgram", yes, viewer, no, no},
	ListPrograms:     {"CampaignService/ListPrograms", yes, viewer, no, no},
	UpdateProgram:    {"CampaignService/UpdateProgram", no, editor, no, no},
	DeleteProgram:    {"CampaignService/DeleteProgram", no, editor, no, no},
	CreatePlace:      {"CampaignService/CreatePlace", no, editor, no, no},
	GetPlace:         {"CampaignService/GetPlace", yes, viewer, no, no},
	ListPlaces:       {"CampaignService/ListPlaces", yes, viewer, no, no},
	UpdatePlace:      {"CampaignService/UpdatePlace", no, editor, no, no},
	DeletePlace:      {"CampaignService/DeletePlace", no, editor, no, no},
	CreateCampaign:   {"CampaignService/CreateCampaign", no, editor, no, no},
	GetCampaign:      {"CampaignService/GetCampaign", yes, viewer, no, no},
	ListCampaigns:    {"CampaignService/ListCampaigns", yes, viewer, no, no},
	UpdateCampaign:   {"CampaignService/UpdateCampaign", no, editor, no, no},
	DeleteCampaign:   {"CampaignService/DeleteCampaign", no, editor, no, no},
	ReviewPlace:      {"CampaignService/ReviewPlace", no, none, no, no},
	Import:           {"CampaignService/Import", no, editor, no, no}, // and for each row what its Update needs
	ListRegions:      {"CampaignService/ListRegions", yes, viewer, yes, no},
	Explain:          {"CampaignService/Explain", yes, viewer, no, no},

	GetCampaignSpend:     {"LedgerService/GetCampaignSpend", yes, viewer, no, no},
	ListCampaignSpend:    {"LedgerService/ListCampaignSpend", yes, viewer, no, no},
	GetAdvertiserBalance: {"LedgerService/GetAdvertiserBalance", yes, viewer, no, no},
	CreateTopUp:          {"LedgerService/CreateTopUp", no, none, no, no},
	CreateWithdrawal:     {"LedgerService/CreateWithdrawal", no, none, no, no},
	CreateCredit:         {"LedgerService/CreateCredit", no, none, no, no},
	SetBilling:           {"LedgerService/SetBilling", no, none, no, no},
	GetStatement:         {"LedgerService/GetStatement", yes, viewer, no, no},
	ListCharges:          {"LedgerService/ListCharges", yes, viewer, no, no},
	GetReceipt:           {"LedgerService/GetReceipt", yes, viewer, no, no},
	ListRoots:            {"LedgerService/ListRoots", yes, viewer, no, no},
	WatchAlerts:          {"LedgerService/WatchAlerts", yes, viewer, no, no},
	GetViewerHistory:     {"LedgerService/GetViewerHistory", yes, none, no, no},
	ExportViewer:         {"LedgerService/ExportViewer", yes, none, no, no},
	EraseViewerHistory:   {"LedgerService/EraseViewerHistory", no, none, no, no},
	CreateBackup:         {"LedgerService/CreateBackup", no, none, no, no},

	WhoAmI:        {"AccessService/WhoAmI", yes, viewer, yes, yes},
	CreateUser:    {"AccessService/CreateUser", no, none, no, no},
	GetUser:       {"AccessService/GetUser", yes, none, no, yes},
	ListUsers:     {"AccessService/ListUsers", yes, none, no, no},
	UpdateUser:    {"AccessService/UpdateUser", no, none, no, no},
	DeleteUser:    {"AccessService/DeleteUser", no, none, no, no},
	CreateClient:  {"AccessService/CreateClient", no, none, no, no},
	GetClient:     {"AccessService/GetClient", yes, none, no, yes},
	ListClients:   {"AccessService/ListClients", yes, none, no, no},
	UpdateClient:  {"AccessService/UpdateClient", no, none, no, no},
	DeleteClient:  {"AccessService/DeleteClient", no, none, no, no},
	CreateKey:     {"AccessService/CreateKey", no, none, no, yes},
	GetKey:        {"AccessService/GetKey", yes, none, no, yes},
	ListKeys:      {"AccessService/ListKeys", yes, none, no, yes},
	UpdateKey:     {"AccessService/UpdateKey", no, none, no, yes},
	DeleteKey:     {"AccessService/DeleteKey", no, none, no, yes},
	RotateKey:     {"AccessService/RotateKey", no, none, no, yes},
	SetMembership: {"AccessService/SetMembership", no, admin, no, no},

	GetMarket:    {"MarketService/GetMarket", yes, none, no, no},
	UpdateMarket: {"MarketService/UpdateMarket", no, none, no, no},
	ListChanges:  {"AuditService/ListChanges", yes, viewer, no, no},
	GetChange:    {"AuditService/GetChange", yes, viewer, no, no},
	UndoChange:   {"AuditService/UndoChange", no, editor, no, no}, // and for each resource what its write needs
}

// RuleOf returns who may call a method.
func RuleOf(m Method) Rule { return rules[m] }

// Methods returns the methods of the contract by their names, without the contract's package.
func Methods() map[string]Method {
	named := make(map[string]Method, methodCount)
	for m, r := range rules {
		if r.Name != "" {
			named[r.Name] = Method(m)
		}
	}
	return named
}

// Verb is what the standard methods do with a resource.
type Verb uint8

// The verbs, in the order of the contract's methods.
const (
	Create Verb = iota
	Get
	List
	Update
	Delete
)

// first holds the first standard method of each kind; the others follow in the order of the verbs.
var first = [hexbid.KindEnd]Method{hexbid.KindAdvertiser: CreateAdvertiser, hexbid.KindProgram: CreateProgram,
	hexbid.KindPlace: CreatePlace, hexbid.KindCampaign: CreateCampaign, hexbid.KindUser: CreateUser,
	hexbid.KindClient: CreateClient, hexbid.KindKey: CreateKey}

// On returns the method of a verb on a kind of resource. What is of no kind is OperatorsOwn, and so is what no method
// of the contract does with the market.
func On(v Verb, kind hexbid.ResourceKind) Method {
	switch {
	case kind == hexbid.KindMarket && v == Get:
		return GetMarket
	case kind == hexbid.KindMarket && v == Update:
		return UpdateMarket
	}
	if kind >= hexbid.KindEnd || first[kind] == OperatorsOwn {
		return OperatorsOwn
	}
	return first[kind] + Method(v)
}
