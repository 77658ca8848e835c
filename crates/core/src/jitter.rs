//! How do nodes that were started together not act together?

/// The span, give or take an eighth.
pub(crate) fn jittered(span_ms: u64, random: u64) -> u64 {
    span_ms - span_ms / 8 + random % (span_ms / 4).max(1)
}
