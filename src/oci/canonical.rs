//! JSON that is the same bytes for the same value: keys sorted, no white space.
//!
//! `serde_json::Map` is ordered only as long as no dependency switches on `preserve_order`, and `oci-spec` keeps
//! labels in a `HashMap` (youki-dev/oci-spec-rs#249), so the order is made here.

use serde::Serialize;

/// Serialises `value` canonically.
///
/// # Errors
/// When a map key is not a string or a `Serialize` implementation fails.
pub fn to_canonical_json<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut value = serde_json::to_value(value)?;
    value.sort_all_objects();
    serde_json::to_vec(&value)
}
