//! How many requests an endpoint takes in a time.

use std::time::Duration;

/// A minute, in microseconds.
const MINUTE: u64 = 60_000_000;

/// Requests a minute, at least one; so that less than one a second can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// So many a second.
    pub fn per_second(requests: u32) -> Self {
        Self(u64::from(requests.max(1)) * 60)
    }

    /// So many a minute.
    pub fn per_minute(requests: u32) -> Self {
        Self(u64::from(requests.max(1)))
    }

    /// Requests in a minute.
    pub fn a_minute(self) -> u64 {
        self.0
    }

    /// Whole requests in so long a time.
    pub fn within(self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        u64::try_from(u128::from(micros) * u128::from(self.0) / u128::from(MINUTE)).unwrap_or(u64::MAX)
    }

    /// Time that so many requests are spread over, in whole microseconds and never too short.
    pub fn span(self, requests: u32) -> Duration {
        Duration::from_micros((u64::from(requests) * MINUTE).div_ceil(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_one_request_a_second_can_be_said() {
        let rate = Rate::per_minute(30);
        assert_eq!(rate.span(1), Duration::from_secs(2));
        assert_eq!((rate.within(Duration::from_secs(5)), rate.within(Duration::from_secs(1))), (2, 0));
        assert_eq!(Rate::per_second(50), Rate::per_minute(3_000));
        assert_eq!(Rate::per_minute(7).span(7), Duration::from_mins(1));
        assert_eq!(Rate::per_second(u32::MAX).within(Duration::MAX), u64::MAX);
    }
}
