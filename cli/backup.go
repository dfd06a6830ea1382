package cli

import (
	"context"
	"fmt"
	"path/filepath"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type backupCommand struct {
	Dir         string `arg:"" help:"Folder on the server's machine that is not there yet. It gets the keys too: keep it as secret as the data folder."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run makes a backup. It waits as long as the copy takes.
func (c *backupCommand) Run(s *session) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	return c.copy(c.named(s.ctx), s, conn, dir)
}

func (c *backupCommand) copy(ctx context.Context, s *session, conn *client, dir string) error {
	b, err := conn.ledger.CreateBackup(ctx, &pb.CreateBackupRequest{Directory: dir})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s, b)
	}
	tail := recordName(b.GetSequence(), b.GetChainHash())
	_, err = fmt.Fprintf(s.Stdout, "%s has the catalogue at version %d and the ledger up to record %s.\nCheck it with: "+
		"hexbid ledger verify --data %[1]s --expect %[3]s\n", b.GetDirectory(), b.GetCatalogueVersion(), tail)
	return err
}
