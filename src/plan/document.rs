//! The plan as a JSON document: what `rpack plan --json` prints and `rpack build --plan` reads.

use serde::Deserialize;

use super::Error;
use super::model::{FORMAT, Plan};
use crate::oci::to_canonical_json;

/// What is read before anything else, so that a newer format is named and not its first unknown field.
#[derive(Deserialize)]
struct Header {
    format: Option<u64>,
}

impl Plan {
    /// The document: sorted keys, no white space, one line.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = to_canonical_json(self).expect("a plan has string keys and no failing serialiser");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a document that [`to_json`](Self::to_json) wrote, perhaps edited since.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let header: Header = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        match header.format {
            Some(format) if format == u64::from(FORMAT) => {}
            found => {
                let found = found.map_or("none".to_owned(), |format| format.to_string());
                let reason = format!("its `format` is {found}, and {FORMAT} is needed");
                return Err(Error::Format { reason, line: 0, column: 0 });
            }
        }
        serde_json::from_slice(bytes).map_err(|error| wrong(&error))
    }
}

fn wrong(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    Error::Format { reason, line: error.line(), column: error.column() }
}
