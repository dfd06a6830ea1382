package hexbid

// Category is a top category of mini-programs, and an interest of viewers.
type Category uint8

// The categories. As a filter CategoryUnknown means any.
const (
	CategoryUnknown Category = iota
	Catering
	Shopping
	Travel
	Leisure
	Finance
	Transport
	Education
	Health
	Government
	LifeServices
	Beauty
	Games
	Sports
	Automotive
	HomeLiving
	Pets
	CategoryCount
)

var categoryNames = [...]string{"any", "catering", "shopping", "travel", "leisure", "finance", "transport", "education",
	"health", "government", "life_services", "beauty", "games", "sports", "automotive", "home", "pets"}

var categoryNamesZh = [...]string{"", "餐饮", "购物", "旅游", "影音休闲", "金融", "交通出行", "教育",
	"医疗健康", "政务民生", "生活服务", "丽人", "游戏", "体育健身", "汽车", "房产家居", "宠物"}

// String returns the English name as files and flags write it.
func (c Category) String() string { return nameIn(categoryNames[:], uint8(c)) }

// Chinese returns the Chinese name.
func (c Category) Chinese() string {
	if c < CategoryCount {
		return categoryNamesZh[c]
	}
	return ""
}

// ParseCategory reads an English category name.
func ParseCategory(s string) (Category, error) {
	return parseName[Category](categoryNames[1:], "category", s)
}
