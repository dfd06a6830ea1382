// Package fold is the rules of money, pure. A ledger is a chain of records, and Books are what follows from them: what
// campaigns have spent, what advertisers own, which tokens are used. The same records always make the same Books.
//
// The package reads no clock, no time zones, no configuration and no disk. Whoever owns the ledger stamps a record with
// its time, its dates and the verdicts about its viewer. Books judge the rest, and refuse a record that says otherwise.
// So a record holds nothing that derives from a person, and erasing a viewer's history changes no hash.
//
// The owner goes on in steps, one record at a time:
//
//	books.Advance(at, batch)          // to the stamp of the next records
//	books.Judge(event)                // fills in what the event costs; changes nothing
//	record := books.Next(event)       // with sequence, stamp and hash of the record before
//	encoded := fold.Complete(ahead, &record)
//	books.Apply(&record, encoded, batch)
//	batch.Records = append(batch.Records, encoded)
//	books.Settle(batch)               // now and then, before the batch is committed
//
// Rows that follow from a record go to the batch that the record is in. So they are on disk together or not at all.
// Accounts, used tokens and other state go to disk at a checkpoint. Restore reads them, and the owner applies the
// records after it.
package fold
