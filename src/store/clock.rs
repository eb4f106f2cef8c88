//! The one clock. Nothing in an image depends on it: it decides only what is too old to be trusted.

/// Seconds since 1970; 0 when the machine's clock stands before that.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    since.ok().and_then(|time| time.as_secs().try_into().ok()).unwrap_or(0)
}
