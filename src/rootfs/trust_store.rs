//! Java's store of certificates, as keytool would write it.
//!
//! In: the certificates of a tree as PEM texts. Out: a file in the format JKS, version 2
//! (`sun.security.provider.JavaKeyStore`): big-endian numbers, one entry per certificate, at the end a SHA-1 digest
//! that is salted with the password, by which Java notices damage. Aliases are those of Debian's own package; the
//! time of each entry is 1970, so that equal certificates give equal bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
/// The tag of an entry that is a trusted certificate.
const TRUSTED: u32 = 2;
/// Everybody's password: the store holds no secret.
const PASSWORD: &str = "changeit";
/// What the digest covers between the password and the file; the format wants it.
const SALT: &[u8] = b"Mighty Aphrodite";

/// The store with these certificates, each the name of its file and its PEM text.
///
/// # Errors
/// The name of a file that holds no certificate, or more than the format can.
pub(super) fn write(certificates: &[(String, String)]) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    for (name, text) in certificates {
        for (number, body) in decode(text).ok_or_else(|| name.clone())?.into_iter().enumerate() {
            let alias = match number {
                0 => format!("debian:{name}"),
                _ => format!("debian:{name}:{number}"),
            };
            entries.push((alias.to_lowercase(), body));
        }
    }
    let count = u32::try_from(entries.len()).map_err(|_| "all of them".to_owned())?;
    let mut store = [MAGIC, VERSION, count].map(u32::to_be_bytes).concat();
    for (alias, body) in entries {
        let size = u32::try_from(body.len()).map_err(|_| alias.clone())?;
        store.extend(TRUSTED.to_be_bytes());
        push_text(&mut store, &alias)?;
        store.extend(0_i64.to_be_bytes());
        push_text(&mut store, "X.509")?;
        store.extend(size.to_be_bytes());
        store.extend(body);
    }
    let mut digest = Sha1::new();
    digest.update(PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
    digest.update(SALT);
    digest.update(&store);
    store.extend(digest.finalize());
    Ok(store)
}

/// A text with its length in front. Java's UTF-8 differs from the real one in NUL and beyond U+FFFF.
fn push_text(store: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let is_equal = text.chars().all(|c| c != '\0' && c <= '\u{FFFF}');
    let size = u16::try_from(text.len()).ok().filter(|_| is_equal).ok_or_else(|| text.to_owned())?;
    store.extend(size.to_be_bytes());
    store.extend(text.as_bytes());
    Ok(())
}

/// The certificates of a PEM text; nothing when there is none or one is damaged.
fn decode(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut certificates = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let (body, after) = after.split_once("-----END CERTIFICATE-----")?;
        let letters: String = body.split_whitespace().collect();
        certificates.push(STANDARD.decode(letters).ok()?);
        rest = after;
    }
    (!certificates.is_empty()).then_some(certificates)
}

#[cfg(test)]
mod tests {
    use super::write;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    fn pem(bytes: &[u8]) -> String {
        let body = STANDARD.encode(bytes);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn the_file_is_what_the_format_says() {
        let store = write(&[("Root_A.crt".to_owned(), pem(b"abc"))]).unwrap();
        let mut expected = b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\x11debian:root_a.crt".to_vec();
        expected.extend(b"\0\0\0\0\0\0\0\0\0\x05X.509\0\0\0\x03abc");
        assert_eq!(store[..store.len() - 20], expected);
        assert_eq!(store, write(&[("Root_A.crt".to_owned(), pem(b"abc"))]).unwrap());
    }

    #[test]
    fn several_certificates_of_one_file_have_own_aliases_and_damage_is_named() {
        let two = format!("# comment\n{}{}", pem(b"a"), pem(b"b"));
        let store = write(&[("x".to_owned(), two)]).unwrap();
        assert!(store.windows(10).any(|part| part == b"debian:x:1"));
        // Names in other letters are names too.
        assert!(write(&[("Főtanúsítvány.pem".to_owned(), pem(b"a"))]).is_ok());
        for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA", &pem(b"a").replace("YQ==", "?")] {
            assert_eq!(write(&[("x".to_owned(), text.to_owned())]), Err("x".to_owned()));
        }
    }
}
