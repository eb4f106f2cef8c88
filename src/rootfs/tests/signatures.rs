//! Which signatures count.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, Deserializable as _, SignedPublicKey, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{Duration, KeyDetails as _, Password, Tag, Timestamp};

use super::debian_repository::{new_key, sign};
use crate::rootfs::debian::openpgp::{Keyring, Refusal};

fn ring(key: &SignedPublicKey) -> Keyring {
    let armored = key.to_armored_string(ArmorOptions::default()).unwrap();
    let name = key.primary_key.fingerprint().to_string();
    Keyring::new([("test.asc", armored.as_bytes())], &[name.to_uppercase()]).unwrap()
}

fn public(key: &SignedSecretKey) -> SignedPublicKey {
    SignedPublicKey::from(key.clone())
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn reason(result: Result<String, Refusal>) -> String {
    match result.unwrap_err() {
        Refusal::Untrusted(reasons) => reasons.join("; ").split(" (key").next().unwrap().to_owned(),
        Refusal::Unsigned(reason) => format!("unsigned: {reason}"),
    }
}

fn subpackets(key: &SignedSecretKey, extra: Option<SubpacketData>) -> Vec<Subpacket> {
    let data = [
        SubpacketData::SignatureCreationTime(Timestamp::now()),
        SubpacketData::IssuerFingerprint(key.primary_key.fingerprint()),
    ];
    data.into_iter().chain(extra).map(|data| Subpacket::regular(data).unwrap()).collect()
}

fn sign_with(key: &SignedSecretKey, extra: SubpacketData) -> String {
    let mut config =
        SignatureConfig::v4(SignatureType::Text, key.primary_key.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets = subpackets(key, Some(extra));
    let message =
        CleartextSignedMessage::new("text\n", config, &key.primary_key, &Password::empty()).unwrap();
    message.to_armored_string(ArmorOptions::default()).unwrap()
}

#[test]
fn a_good_signature_gives_the_text_and_one_of_several_is_enough() {
    let (key, stranger) = (new_key("a"), new_key("b"));
    let ring = ring(&public(&key));
    let text = ring.verify(sign("a: b\n- c\n", &key).as_bytes(), now()).unwrap();
    assert_eq!(text.replace('\r', ""), "a: b\n- c\n");
    let found = reason(ring.verify(sign("a\n", &stranger).as_bytes(), now()));
    assert!(found.ends_with("which is not a key of this archive"), "{found}");
}

#[test]
fn weak_expired_and_future_signatures_do_not_count() {
    let key = new_key("a");
    let ring = ring(&public(&key));
    let lifetime = SubpacketData::SignatureExpirationTime(Duration::from_secs(60));
    let short = sign_with(&key, lifetime);
    assert!(ring.verify(short.as_bytes(), now()).is_ok());
    assert_eq!(reason(ring.verify(short.as_bytes(), now() + 3600)), "the signature has expired");
    let good = sign("text\n", &key);
    assert_eq!(
        reason(ring.verify(good.as_bytes(), now() - 3 * 86_400)),
        "the signature was made in the future"
    );
}

#[test]
fn a_signature_over_a_broken_digest_does_not_count() {
    let (armored, weak) = (include_str!("weak_key.asc"), include_str!("weak_message.asc"));
    let (key, _) = SignedPublicKey::from_string(armored).unwrap();
    assert_eq!(
        reason(ring(&key).verify(weak.as_bytes(), now())),
        "the signature was made with SHA1, which is too weak"
    );
}

#[test]
fn an_expired_key_does_not_count() {
    let key = new_key("a");
    let mut certificate = public(&key);
    let user = &mut certificate.details.users[0];
    let mut config =
        SignatureConfig::v4(SignatureType::CertPositive, key.primary_key.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets =
        subpackets(&key, Some(SubpacketData::KeyExpirationTime(Duration::from_secs(3600))));
    let (secret, password) = (&key.primary_key, Password::empty());
    user.signatures = vec![
        config.sign_certification(secret, secret.public_key(), &password, Tag::UserId, &user.id).unwrap(),
    ];
    let ring = ring(&certificate);
    let signed = sign("text\n", &key);
    assert!(ring.verify(signed.as_bytes(), now()).is_ok());
    assert_eq!(reason(ring.verify(signed.as_bytes(), now() + 7200)), "the key has expired");
}

#[test]
fn a_revoked_key_does_not_count() {
    let key = new_key("a");
    let mut certificate = public(&key);
    let mut config =
        SignatureConfig::v4(SignatureType::KeyRevocation, key.primary_key.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets = subpackets(&key, None);
    let secret = &key.primary_key;
    let revocation = config.sign_key(secret, &Password::empty(), secret.public_key()).unwrap();
    certificate.details.revocation_signatures.push(revocation);
    let found = reason(ring(&certificate).verify(sign("text\n", &key).as_bytes(), now()));
    assert_eq!(found, "the key was revoked");
}

#[test]
fn the_keys_of_the_base_are_those_it_names() {
    let definitions = crate::definitions::Definitions::embedded();
    for id in crate::rootfs::base::Base::ids(&definitions) {
        let base = crate::rootfs::base::Base::load(&definitions, &id).unwrap();
        for archive in base.archives.values() {
            let files = definitions.below("bases/keys", ".asc");
            Keyring::new(files.map(|file| (file.path.as_str(), &*file.bytes)), &archive.keys).unwrap();
        }
    }
    let missing = Keyring::new([], &["ABCD".to_owned()]).unwrap_err();
    assert_eq!(missing, "no file in `bases/keys/` holds the key ABCD");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused(tail in "\\PC{0,200}") {
        let key = ring(&public(&new_key("a")));
        let text = format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{tail}");
        proptest::prop_assert!(key.verify(text.as_bytes(), now()).is_err());
    }
}
