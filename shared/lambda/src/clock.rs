//! The clock: the only place that asks for the time, or waits for it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use fanhook_core::time::Millis;
use futures_util::future::BoxFuture;

/// A source of time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Millis;
    /// Waits so long.
    fn sleep(&self, wait: Duration) -> BoxFuture<'_, ()>;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that handlers take")]
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock in virtual time, for tests and simulations.
///
/// By itself it stands still until [`ManualClock::advance`]. With [`ManualClock::advancing`] it leaps to the next sleeper's end as
/// soon as nothing else makes progress; that holds for tasks of one thread which wait for each other and for this clock only.
#[derive(Debug)]
pub struct ManualClock {
    advancing: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Millis,
    next_id: u64,
    /// By end, then by the order in which they began.
    sleepers: BTreeMap<(Millis, u64), Waker>,
}

/// Times that the earliest sleeper lets everybody else go first before the clock leaps to its end.
const TURNS: u32 = 64;

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Millis) -> Self {
        Self { advancing: false, state: Mutex::new(State { now, ..State::default() }) }
    }

    /// A clock that begins at `now` and leaps over idle time by itself.
    pub fn advancing(now: Millis) -> Self {
        Self { advancing: true, ..Self::new(now) }
    }

    /// Moves the time forward and wakes who slept until then.
    pub fn advance(&self, by: Duration) {
        let now = self.now() + by;
        self.set(now);
    }

    /// Moves the time forward to `now`; never back.
    pub fn set(&self, now: Millis) {
        let woken = self.lock().leap(now);
        woken.into_iter().for_each(Waker::wake);
    }

    /// How many sleep.
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Moves the time forward; those whose time has come are for the caller to wake, once the state is free.
    fn leap(&mut self, now: Millis) -> Vec<Waker> {
        self.now = self.now.max(now);
        let later = self.sleepers.split_off(&(Millis(self.now.0.saturating_add(1)), 0));
        std::mem::replace(&mut self.sleepers, later).into_values().collect()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.lock().now
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'_, ()> {
        let mut state = self.lock();
        state.next_id += 1;
        Box::pin(Sleep { clock: self, place: (state.now + wait, state.next_id), turns: 0 })
    }
}

struct Sleep<'a> {
    clock: &'a ManualClock,
    place: (Millis, u64),
    turns: u32,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock;
        let mut state = clock.lock();
        if state.now >= self.place.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.place, context.waker().clone());
        if clock.advancing && state.sleepers.first_key_value().is_some_and(|(first, _)| *first == self.place)
        {
            self.turns += 1;
            if self.turns > TURNS {
                let woken = state.leap(self.place.0);
                drop(state);
                woken.into_iter().for_each(Waker::wake);
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        let mut state = self.clock.lock();
        state.sleepers.remove(&self.place);
        // Who is the earliest now has to count its turns.
        if self.clock.advancing
            && let Some((_, waker)) = state.sleepers.first_key_value()
        {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::join};

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_time_has_come_and_not_before() {
        let clock = ManualClock::new(Millis(1000));
        let mut sleep = clock.sleep(Duration::from_millis(500));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_millis(499));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_millis(1));
        sleep.await;
        assert_eq!((clock.now(), clock.sleepers()), (Millis(1500), 0));
    }

    #[tokio::test]
    async fn a_sleeper_that_is_dropped_is_forgotten() {
        let clock = ManualClock::new(Millis(0));
        assert!(clock.sleep(Duration::from_secs(1)).now_or_never().is_none());
        assert_eq!(clock.sleepers(), 0);
    }

    #[tokio::test]
    async fn an_advancing_clock_leaps_from_sleeper_to_sleeper_in_order() {
        let clock = ManualClock::advancing(Millis(0));
        let seen = Mutex::new(Vec::new());
        let worker = async |name: &str, step: u64| {
            for _ in 0..3 {
                clock.sleep(Duration::from_secs(step)).await;
                seen.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(format!("{name}{}", clock.now().seconds()));
            }
        };
        join(worker("a", 3600), worker("b", 5400)).await;
        assert_eq!(
            *seen.lock().unwrap_or_else(PoisonError::into_inner),
            ["a3600", "b5400", "a7200", "b10800", "a10800", "b16200"]
        );
    }

    #[test]
    fn the_time_never_goes_back() {
        let clock = ManualClock::new(Millis(10));
        clock.set(Millis(5));
        assert_eq!(clock.now(), Millis(10));
    }
}
