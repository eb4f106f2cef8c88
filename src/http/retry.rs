//! Which failures pass, and how long to wait for it.

use std::time::Duration;

/// How often a request is sent at most.
pub(super) const ATTEMPTS: u32 = 5;
/// No wait is longer than this, whatever the server asks for.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether the status says that the same request may work later.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504)
}

/// The pause before attempt `attempt` (the first retry is 1): what the server asks for, else 0.5 s, 1 s, 2 s …
/// each with up to half of it on top, so that parallel downloads do not come back in step.
pub(super) fn pause(attempt: u32, asked: Option<Duration>, unit: Duration) -> Duration {
    if let Some(asked) = asked {
        return asked.min(LONGEST);
    }
    let base = unit.saturating_mul(1 << attempt.saturating_sub(1).min(10));
    let spread = f64::from(random() % 1000) / 2000.0;
    base.mul_f64(1.0 + spread).min(LONGEST)
}

/// Reads `Retry-After` in seconds; the form with a date is rare and answered by the usual pause.
pub(super) fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness the pause is just not spread.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::{is_transient, pause};
    use std::time::Duration;

    #[test]
    fn pauses_double_and_are_spread_by_half_at_most() {
        let unit = Duration::from_millis(500);
        for (attempt, least) in [(1, 500), (2, 1000), (3, 2000), (4, 4000)] {
            let found = pause(attempt, None, unit);
            let least = Duration::from_millis(least);
            assert!(found >= least && found <= least.mul_f64(1.5), "{attempt}: {found:?}");
        }
    }

    #[test]
    fn the_server_decides_up_to_a_minute() {
        let unit = Duration::from_millis(500);
        assert_eq!(pause(1, Some(Duration::from_secs(7)), unit), Duration::from_secs(7));
        assert_eq!(pause(1, Some(Duration::from_secs(7200)), unit), Duration::from_secs(60));
    }

    #[test]
    fn refusals_are_final() {
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(is_transient));
        assert!(![400, 401, 403, 404, 410, 501].into_iter().any(is_transient));
    }
}
