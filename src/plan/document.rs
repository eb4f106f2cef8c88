//! The plan as a document: canonical bytes out, checked bytes in.

use serde::Deserialize;

use super::Error;
use super::model::{FORMAT, Plan};
use crate::oci::to_canonical_json;

#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl Plan {
    /// Canonical JSON with a line end: equal plans give equal bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = to_canonical_json(self).expect("a plan has string keys only");
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`Plan::to_json`] wrote. Unknown fields are refused: a newer rpack may mean something by them.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let invalid = |error: &serde_json::Error| Error::Format { reason: error.to_string() };
        let header: Header = serde_json::from_slice(bytes).map_err(|error| invalid(&error))?;
        if header.format != FORMAT {
            return Err(Error::Format {
                reason: format!("its format is {}, this rpack reads {FORMAT}", header.format),
            });
        }
        serde_json::from_slice(bytes).map_err(|error| invalid(&error))
    }
}
