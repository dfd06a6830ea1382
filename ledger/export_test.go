package ledger

// Taken returns how many requests the owner has taken from its queue.
func (l *Ledger) Taken() int { return int(l.queued.Load()) - len(l.queue) }

// Compactions returns how often the compactor has worked.
func (l *Ledger) Compactions() uint64 { return l.compactions.Load() }

// MostLeftBehind is how many reads may be left behind.
const MostLeftBehind = mostLeftBehind
