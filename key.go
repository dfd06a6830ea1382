package hexbid

import "time"

// MaxKeys is the most keys of one user or client.
const MaxKeys = 32

// Key is a secret by which a user or a client proves who it is. The resource holds only a keyed hash of the secret.
type Key struct {
	Meta
	DisplayName string
	// CredentialID is the part of the key's text that finds the key. It is no secret.
	CredentialID string
	// SecretHash is the HMAC-SHA256 of the secret. It never leaves the deployment.
	SecretHash [32]byte
	Expires    time.Time // zero means never
}

// Validate implements Resource.
func (k *Key) Validate() error {
	errs := []error{
		checkText("key.display_name", k.DisplayName, 0, maxNameBytes),
		checkInstant("key.expire_time", k.Expires),
	}
	if k.CredentialID == "" || k.SecretHash == [32]byte{} {
		errs = append(errs, Errorf(Internal, "key", "has no secret: keys are issued, not written"))
	}
	return JoinErrors(errs...)
}
