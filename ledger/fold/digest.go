package fold

// Digest stands for a set of rows: the sum of their hashes, modulo 2^256. A change costs the hashes of the old and the
// new row, however many others there are. It finds damage and faults. Against forgers there is the chain, which holds
// it.
type Digest [32]byte
