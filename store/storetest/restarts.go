package storetest

var restarts []conduct
