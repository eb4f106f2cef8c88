//! Whether a text is signed by a key that the base names.
//!
//! In: an InRelease file, the certificates of `bases/keys/`, the fingerprints that may sign. Out: the signed text
//! and nothing around it. `pgp` does the mathematics; the policy is here, because it would accept expired keys
//! and broken hashes. One good signature by a named key is enough; those by unknown keys are passed over.
//!
//! A signature counts when it is over the text, made with SHA-256 or better, not expired, not from the future,
//! by a primary key that is named, or by its signing subkey, neither revoked nor expired, each bound by
//! self-signatures to which the same rules apply.

use pgp::composed::{CleartextSignedMessage, Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, Tag};

/// Clocks may differ by this many seconds.
const SKEW: i64 = 24 * 60 * 60;

/// The certificates of one archive.
#[derive(Clone, Debug)]
pub(in crate::rootfs) struct Keyring {
    certificates: Vec<SignedPublicKey>,
}

/// Why no signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rootfs) enum Refusal {
    /// It is not a text with a signature.
    Unsigned(String),
    /// It is signed, but not well: what is wrong with each signature.
    Untrusted(Vec<String>),
}

impl Keyring {
    /// Takes the certificates with one of the primary `fingerprints` out of armored `files`.
    ///
    /// # Errors
    /// A sentence about a file that is not a key, or a fingerprint that no file holds.
    pub(in crate::rootfs) fn new<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        fingerprints: &[String],
    ) -> Result<Self, String> {
        let mut certificates = Vec::new();
        for (name, bytes) in files {
            let (keys, _) = SignedPublicKey::from_armor_many(bytes)
                .map_err(|error| format!("`{name}` is not an OpenPGP key: {error}"))?;
            for key in keys {
                let key = key.map_err(|error| format!("`{name}` is not an OpenPGP key: {error}"))?;
                let fingerprint = key.primary_key.fingerprint().to_string();
                if fingerprints.iter().any(|wanted| wanted.eq_ignore_ascii_case(&fingerprint)) {
                    certificates.push(key);
                }
            }
        }
        for wanted in fingerprints {
            let is_wanted = |key: &SignedPublicKey| {
                key.primary_key.fingerprint().to_string().eq_ignore_ascii_case(wanted)
            };
            if !certificates.iter().any(is_wanted) {
                return Err(format!("no file in `bases/keys/` holds the key {wanted}"));
            }
        }
        Ok(Self { certificates })
    }

    /// The text of the cleartext signed `message`, if a key of this ring signed it.
    ///
    /// # Errors
    /// Why no signature counts.
    pub(in crate::rootfs) fn verify(&self, message: &[u8], now: i64) -> Result<String, Refusal> {
        let message =
            std::str::from_utf8(message).map_err(|_| Refusal::Unsigned("it is not text".to_owned()))?;
        if !message.starts_with("-----BEGIN PGP SIGNED MESSAGE-----") {
            return Err(Refusal::Unsigned(
                "it does not begin with `-----BEGIN PGP SIGNED MESSAGE-----`".to_owned(),
            ));
        }
        let (message, _) = CleartextSignedMessage::from_string(message)
            .map_err(|error| Refusal::Unsigned(format!("its signature cannot be read: {error}")))?;
        if message.signatures().is_empty() {
            return Err(Refusal::Unsigned("its signature block is empty".to_owned()));
        }
        let text = message.signed_text();
        let mut reasons = Vec::new();
        for signature in message.signatures() {
            match self.check(signature, text.as_bytes(), now) {
                Ok(()) => return Ok(text),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(Refusal::Untrusted(reasons))
    }

    fn check(&self, signature: &Signature, text: &[u8], now: i64) -> Result<(), String> {
        if !matches!(signature.typ(), Some(SignatureType::Text | SignatureType::Binary)) {
            return Err("a signature is not one over a text".to_owned());
        }
        for certificate in &self.certificates {
            if is_issuer(signature, &certificate.primary_key) {
                let name = certificate.primary_key.fingerprint().to_string();
                let good = signature.verify(&certificate.primary_key, text).is_ok();
                check_signature(signature, good, now).map_err(|reason| format!("{reason} (key {name})"))?;
                return check_primary(certificate, now).map_err(|reason| format!("{reason} (key {name})"));
            }
            for subkey in &certificate.public_subkeys {
                if !is_issuer(signature, &subkey.key) {
                    continue;
                }
                let name = subkey.key.fingerprint().to_string();
                let good = signature.verify(&subkey.key, text).is_ok();
                return check_signature(signature, good, now)
                    .and_then(|()| check_primary(certificate, now))
                    .and_then(|()| check_subkey(certificate, subkey, now))
                    .map_err(|reason| format!("{reason} (key {name})"));
            }
        }
        Err(format!("it is signed by {}, which is not a key of this archive", issuer(signature)))
    }
}

fn check_signature(signature: &Signature, good: bool, now: i64) -> Result<(), String> {
    if !good {
        return Err("the text was changed after it was signed".to_owned());
    }
    if !is_strong(signature) {
        let hash =
            signature.hash_alg().map_or_else(|| "an unknown digest".to_owned(), |hash| hash.to_string());
        return Err(format!("the signature was made with {hash}, which is too weak"));
    }
    let created = created(signature).ok_or("the signature has no date")?;
    if created > now.saturating_add(SKEW) {
        return Err("the signature was made in the future".to_owned());
    }
    let lifetime = signature.signature_expiration_time().map_or(0, |lifetime| i64::from(lifetime.as_secs()));
    if lifetime > 0 && created + lifetime < now {
        return Err("the signature has expired".to_owned());
    }
    Ok(())
}

/// Checks the primary key: not revoked, and its newest self-signature gives it time.
fn check_primary(certificate: &SignedPublicKey, now: i64) -> Result<(), String> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    if details.revocation_signatures.iter().any(|signature| signature.verify_key(key).is_ok()) {
        return Err("the key was revoked".to_owned());
    }
    let certifications = details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.is_certification()
                && signature.typ() != Some(SignatureType::CertRevocation)
                && signature.verify_certification(key, Tag::UserId, &user.id).is_ok()
        })
    });
    let direct = details.direct_signatures.iter().filter(|signature| signature.verify_key(key).is_ok());
    let newest = newest(certifications.chain(direct), now).ok_or("the key has no usable self-signature")?;
    check_lifetime(newest, i64::from(key.created_at().as_secs()), now)
}

/// Checks a subkey: bound to the primary key for signing, in both directions, not revoked, not expired.
fn check_subkey(certificate: &SignedPublicKey, subkey: &SignedPublicSubKey, now: i64) -> Result<(), String> {
    let primary = &certificate.primary_key;
    let own = |kind| {
        subkey.signatures.iter().filter(move |signature| {
            signature.typ() == Some(kind) && signature.verify_subkey_binding(primary, &subkey.key).is_ok()
        })
    };
    if own(SignatureType::SubkeyRevocation).next().is_some() {
        return Err("the subkey was revoked".to_owned());
    }
    let binding = newest(own(SignatureType::SubkeyBinding), now).ok_or("the subkey has no usable binding")?;
    let is_mutual = binding.key_flags().sign()
        && binding.embedded_signature().is_some_and(|back| {
            is_strong(back) && back.verify_primary_key_binding(&subkey.key, primary).is_ok()
        });
    if !is_mutual {
        return Err("the subkey is not bound for signing".to_owned());
    }
    check_lifetime(binding, i64::from(subkey.key.created_at().as_secs()), now)
}

fn check_lifetime(signature: &Signature, created: i64, now: i64) -> Result<(), String> {
    let lifetime = signature.key_expiration_time().map_or(0, |lifetime| i64::from(lifetime.as_secs()));
    if lifetime > 0 && created + lifetime < now {
        return Err("the key has expired".to_owned());
    }
    Ok(())
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: i64) -> Option<&'a Signature> {
    signatures
        .filter(|signature| is_strong(signature))
        .filter_map(|signature| Some((created(signature)?, signature)))
        .filter(|(created, _)| *created <= now.saturating_add(SKEW))
        .max_by_key(|(created, _)| *created)
        .map(|(_, signature)| signature)
}

fn is_strong(signature: &Signature) -> bool {
    matches!(
        signature.hash_alg(),
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

fn created(signature: &Signature) -> Option<i64> {
    signature.created().map(|time| i64::from(time.as_secs()))
}

/// Whether `signature` names `key` as its maker; one that names nobody counts for nobody.
fn is_issuer(signature: &Signature, key: &impl pgp::types::KeyDetails) -> bool {
    signature.issuer_fingerprint().iter().any(|fingerprint| **fingerprint == key.fingerprint())
        || signature.issuer_key_id().iter().any(|id| **id == key.legacy_key_id())
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(ToString::to_string);
    let id = || signature.issuer_key_id().first().map(ToString::to_string);
    fingerprint.or_else(id).unwrap_or_else(|| "nobody".to_owned())
}
