//! Remembers what was chosen from the indexes of a base, because they are some 60 MB of text.
//!
//! `metadata/answers/KEY` in the store. The key covers the question, the digests of all indexes, the definition of the
//! base and the program itself, so an answer is right as long as it is found.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Context, Error};
use crate::observe;
use crate::oci::{Digest, to_canonical_json};

/// The key of a question about the suites that `suites` stands for.
pub(super) fn key(suites: &Digest, question: &impl Serialize) -> Digest {
    let value = (observe::program(), suites, question);
    Digest::of(&to_canonical_json(&value).expect("questions are texts and lists"))
}

/// The answer, if it is known. A damaged one counts as none.
pub(super) fn find<T: DeserializeOwned>(key: &Digest, context: &Context) -> Option<T> {
    serde_json::from_slice(&context.store.record(&name(key))?).ok()
}

/// Keeps an answer.
pub(super) fn keep<T: Serialize>(key: &Digest, answer: &T, context: &Context) -> Result<(), Error> {
    let bytes = to_canonical_json(answer).expect("answers are texts and lists");
    Ok(context.store.put_record(&name(key), &bytes)?)
}

fn name(key: &Digest) -> String {
    format!("answers/{}", key.hex())
}
