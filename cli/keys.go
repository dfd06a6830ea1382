package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// keysCommand groups the commands about keys.
type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Issue a key and print it. It is shown this once."`
	List   keysListCommand   `cmd:"" help:"List keys, without their secrets."`
	Revoke keysRevokeCommand `cmd:"" help:"Make a key useless at once."`
	Rotate keysRotateCommand `cmd:"" help:"Issue a key in place of another, which stays good for a while."`
}

// keyOutput says where a new key goes.
type keyOutput struct {
	Out     string        `help:"Write the key to this file, which only you may read, and not to standard output." placeholder:"FILE"`
	Expires time.Duration `help:"Time after which the key is refused, as 2160h; 0 for never." default:"0s"`

	file *os.File // Out, once it is open
}

// expireTime returns when a key expires, nil for never.
func (o *keyOutput) expireTime() *timestamppb.Timestamp {
	if o.Expires == 0 {
		return nil
	}
	return timestamppb.New(time.Now().Add(o.Expires))
}

// print hands out a new key. If it cannot, the key is lost, and the error says which one to revoke.
func (o *keyOutput) print(s *session, issued *pb.IssuedKey) error {
	err := o.write(s, issued.GetCredential())
	if err != nil {
		return fmt.Errorf("%s was issued and is lost (%w): revoke it", issued.GetKey().GetName(), err)
	}
	_, err = fmt.Fprintf(s.Stderr, "%s is issued. Nobody can show it again.\n", issued.GetKey().GetName())
	return err
}

func (o *keyOutput) write(s *session, credential string) error {
	if o.file == nil {
		_, err := fmt.Fprintln(s.Stdout, credential)
		return err
	}
	_, err := fmt.Fprintln(o.file, credential)
	return errors.Join(err, o.file.Sync(), o.file.Close())
}

// open makes the file before a key is issued, so that none is lost because it cannot be written.
func (o *keyOutput) open() (err error) {
	if o.Out == "" {
		return nil
	}
	if o.file, err = os.OpenFile(o.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return fmt.Errorf("--out: %w: no key was issued", err)
	}
	return nil
}

// drop removes the file of a key that was not issued.
func (o *keyOutput) drop() {
	if o.file != nil {
		_ = o.file.Close()
		_ = os.Remove(o.Out)
	}
}

// checkKeyOwner refuses an owner without its collection, which may be a user or a client.
func checkKeyOwner(owner string) error {
	if !strings.Contains(owner, "/") {
		return fmt.Errorf("%q may be a user or a client: write users/%[1]s or clients/%[1]s", owner)
	}
	return nil
}

type keysCreateCommand struct {
	Owner       string `arg:"" help:"users/{u} or clients/{c}."`
	ID          string `name:"id" help:"Last part of the key's name; the server chooses one by default." placeholder:"ID"`
	Title       string `help:"What people read, as \"Alice's laptop\"." placeholder:"TEXT"`
	keyOutput   `embed:""`
	clientFlags `embed:""`
}

// Run issues a key.
func (c *keysCreateCommand) Run(s *session) error {
	if err := checkKeyOwner(c.Owner); err != nil {
		return err
	}
	return c.call(s, func(ctx context.Context, conn *client) error {
		if err := c.open(); err != nil {
			return err
		}
		issued, err := conn.access.CreateKey(ctx, &pb.CreateKeyRequest{Parent: c.Owner, KeyId: c.ID,
			Key: &pb.Key{DisplayName: c.Title, ExpireTime: c.expireTime()}})
		if err != nil {
			c.drop()
			return err
		}
		return c.print(s, issued)
	})
}

type keysListCommand struct {
	Owner       string `arg:"" optional:"" help:"users/{u}, clients/{c}, users/- or clients/-; your own by default."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run lists keys.
func (c *keysListCommand) Run(s *session) error {
	if err := checkKeyOwner(c.Owner); c.Owner != "" && err != nil {
		return err
	}
	return c.call(s, func(ctx context.Context, conn *client) error {
		if c.Owner == "" {
			me, err := conn.access.WhoAmI(ctx, &pb.WhoAmIRequest{})
			if err != nil {
				return err
			}
			if c.Owner = me.GetName(); c.Owner == "" {
				return errors.New("you have no keys here: name users/{u} or clients/{c}")
			}
		}
		all := &pb.ListKeysResponse{}
		for page := ""; ; {
			r, err := conn.access.ListKeys(ctx, &pb.ListKeysRequest{Parent: c.Owner, PageSize: 1000, PageToken: page})
			if err != nil {
				return err
			}
			all.Keys = append(all.Keys, r.GetKeys()...)
			if page = r.GetNextPageToken(); page == "" {
				break
			}
		}
		if c.Output == "json" {
			return printJSON(s, all)
		}
		printKeys(s, all.GetKeys())
		return nil
	})
}

func printKeys(s *session, keys []*pb.Key) {
	t := table{}
	t.add("NAME", "ID", "TITLE", "EXPIRES", "LAST USE")
	for _, k := range keys {
		t.add(k.GetName(), k.GetCredentialId(), k.GetDisplayName(), cmp.Or(instantText(k.GetExpireTime()), "never"),
			instantText(k.GetLastUseTime()))
	}
	t.print(s.Stdout)
}

// instantText writes an instant, "" for none.
func instantText(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().UTC().Format(time.RFC3339)
}

type keysRevokeCommand struct {
	Name        string `arg:"" help:"users/{u}/keys/{k} or clients/{c}/keys/{k}."`
	clientFlags `embed:""`
}

// Run revokes a key.
func (c *keysRevokeCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		if _, err := conn.access.DeleteKey(ctx, &pb.DeleteKeyRequest{Name: c.Name}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.Stderr, "%s is refused from now on.\n", c.Name)
		return err
	})
}

type keysRotateCommand struct {
	Name        string        `arg:"" help:"The key to replace: users/{u}/keys/{k} or clients/{c}/keys/{k}."`
	ID          string        `name:"id" help:"Last part of the new key's name; the server chooses one by default." placeholder:"ID"`
	Overlap     time.Duration `help:"How long both keys are good." default:"24h"`
	keyOutput   `embed:""`
	clientFlags `embed:""`
}

// Run issues a key in place of another.
func (c *keysRotateCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		if err := c.open(); err != nil {
			return err
		}
		issued, err := conn.access.RotateKey(ctx, &pb.RotateKeyRequest{Name: c.Name, KeyId: c.ID,
			Overlap: durationpb.New(c.Overlap), ExpireTime: c.expireTime()})
		if err != nil {
			c.drop()
			return err
		}
		if err := c.print(s, issued); err != nil {
			return err
		}
		stays := "is refused from now on"
		if c.Overlap > 0 {
			stays = "stays good for " + c.Overlap.String() + " at most"
		}
		_, err = fmt.Fprintf(s.Stderr, "%s %s.\n", c.Name, stays)
		return err
	})
}
