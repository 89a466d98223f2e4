use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What one look at a condition found.
pub enum Seen<T> {
    /// It holds; this is what was waited for.
    Yes(T),
    /// It does not hold yet; this is what there was instead.
    NotYet(String),
}

/// Looks again and again until a condition holds, and fails after `bound` with what it last saw.
///
/// `what` ends the sentence "waited for …". An `Err` of `look` ends the wait at once.
pub async fn until<T>(
    what: &str,
    bound: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        let last = match look().await? {
            Seen::Yes(value) => return Ok(value),
            Seen::NotYet(last) => last,
        };
        if start.elapsed() >= bound {
            bail!("waited {} s for {what}; last saw: {last}", bound.as_secs());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_returns_what_was_waited_for() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            Ok(if looks == 3 { Seen::Yes(looks) } else { Seen::NotYet(format!("{looks} looks")) })
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_wait_that_ends_in_vain_says_what_it_last_saw() {
        let wait = until("rain", Duration::ZERO, async || Ok(Seen::<()>::NotYet("sunshine".to_owned())));
        assert_eq!(wait.await.unwrap_err().to_string(), "waited 0 s for rain; last saw: sunshine");
    }
}
