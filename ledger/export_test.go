package ledger

// Taken returns how many requests the owner has taken from its queue.
func (l *Ledger) Taken() int { return int(l.queued.Load()) - len(l.queue) }
