package storetest

var models []conduct
