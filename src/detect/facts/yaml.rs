//! YAML texts: typed values out, within bounds that no lock written by a tool comes near.

use serde::de::DeserializeOwned;

use super::super::error::Malformed;
use crate::detect::Error;

/// The largest locks of monorepos hold some 30 000 packages of ten values each.
const NODES: usize = 4_000_000;
/// Tools write hardly any aliases; bombs are made of them.
const ALIASES: usize = 1_000;
/// pnpm writes the peers of a package into its key.
const KEY: usize = 16_384;

/// Reads every document of `text`, the content of `file`. `hint` says what to do when it is not YAML.
pub(super) fn documents<T: DeserializeOwned>(
    id: &'static str,
    file: &str,
    text: &str,
    hint: &str,
) -> Result<Vec<T>, Error> {
    let budget = serde_saphyr::budget! {
        max_nodes: NODES,
        max_events: 3 * NODES,
        max_aliases: ALIASES,
        max_anchors: ALIASES,
        simple_key_max_lookahead: KEY,
    };
    let options = serde_saphyr::options! { budget: budget, with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location().map_or((1, 1), |at| (number(at.line()), number(at.column())));
        let message = error.without_snippet().to_string();
        let reason = message.lines().next().unwrap_or_default();
        let reason = reason.rsplit_once(" at line ").map_or(reason, |(reason, _)| reason);
        Malformed::at(id, file, text, place, format!("cannot be read: {reason}"), hint).into()
    })
}

fn number(place: u64) -> usize {
    usize::try_from(place).unwrap_or(1).max(1)
}
