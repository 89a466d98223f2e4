//! What the slots of an endpoint promise, on any table: no two have the same, and a dead one's free themselves.

use std::{collections::BTreeMap, time::Duration};

use fanhook_core::{
    id::WebhookId,
    run::EndpointSettings,
    time::Millis,
    webhook::{Authentication, RetryPolicy, Signing},
};
use uuid::Uuid;

use crate::{
    StoreResult, endpoints,
    ports::Table,
    slots::{self, Slots},
};

const NOW: Millis = Millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn done<T>(result: StoreResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store failed: {error:?}"),
    }
}

/// An endpoint whose slots are taken for ten seconds from `now`.
struct Endpoint<'a> {
    table: &'a dyn Table,
    webhook: WebhookId,
}

impl Endpoint<'_> {
    async fn take(&self, owner: &str, wanted: u32, limit: u32, seen: &Slots, now: Millis) -> Slots {
        let until = now + 10 * SECOND;
        done(slots::take(self.table, self.webhook, owner, (wanted, limit), seen, now, until).await)
    }

    async fn read(&self) -> Slots {
        done(endpoints::get(self.table, self.webhook).await)
            .map(|endpoint| endpoint.slots)
            .unwrap_or_default()
    }
}

async fn put(table: &dyn Table, webhook: WebhookId) {
    let settings = EndpointSettings {
        origin: None,
        requests_per_second: None,
        requests_at_a_time: Some(10),
        allowed_per_minute: None,
        allowed_elsewhere: BTreeMap::new(),
        retry: RetryPolicy::default(),
        authentication: Authentication::default(),
        signing: Signing::None {},
        updated: NOW,
    };
    done(endpoints::put(table, webhook, &settings).await);
}

/// Runs the suite against a table; panics where a promise is broken.
pub(super) async fn slots(table: &dyn Table) {
    let webhook = WebhookId::new(Uuid::new_v4());
    put(table, webhook).await;
    let endpoint = Endpoint { table, webhook };

    // Many at once, none of whom has seen the others.
    let owners = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let nobody = Slots::default();
    let at_once = owners.iter().map(|owner| endpoint.take(owner, 3, 10, &nobody, NOW));
    let answers = futures_util::future::join_all(at_once).await;
    let mut each: Vec<u32> = answers.iter().zip(owners).map(|(slots, owner)| slots.of(owner)).collect();
    each.sort_unstable();
    assert_eq!(each, [0, 0, 0, 0, 1, 3, 3, 3]);
    let stored = endpoint.read().await;
    assert_eq!(stored.taken(NOW), 10);
    assert_eq!(owners.map(|owner| stored.of(owner)).iter().sum::<u32>(), 10);

    // A change of the webhook leaves them.
    put(table, webhook).await;
    assert_eq!(endpoint.read().await, stored);

    // Once more is no more, whatever was seen; given back they are somebody else's.
    let full = owners.into_iter().find(|owner| stored.of(owner) == 3).unwrap_or_default();
    let free = owners.into_iter().find(|owner| stored.of(owner) == 0).unwrap_or_default();
    assert_eq!(endpoint.take(full, 3, 10, &nobody, NOW).await, stored);
    assert_eq!(endpoint.take(full, 9, 10, &stored, NOW).await.of(full), 3);
    assert_eq!(endpoint.take(free, 9, 10, &stored, NOW).await.of(free), 0);
    assert_eq!(endpoint.take(full, 1, 10, &stored, NOW).await.of(full), 1);
    let after = endpoint.take(free, 9, 10, &stored, NOW).await;
    assert_eq!((after.of(free), after.of(full), after.taken(NOW)), (2, 1, 10));
    let gone = endpoint.take(full, 0, 10, &after, NOW).await;
    assert_eq!((gone.of(full), gone.taken(NOW)), (0, 9));

    // Those of the dead free themselves, and not before their time.
    let (before, end) = (NOW + 9 * SECOND, NOW + 10 * SECOND);
    assert_eq!(endpoint.take("late", 9, 10, &gone, before).await.of("late"), 1);
    let late = endpoint.take("late", 9, 10, &gone, end).await;
    assert_eq!((late.of("late"), late.taken(end)), (9, 9));
    assert_eq!(endpoint.read().await, late);

    // A lower limit: no more are given, and who has too many uses the first.
    let both = endpoint.take("early", 1, 10, &late, end).await;
    assert_eq!((both.within("early", 4, end), both.within("late", 4, end)), (1, 3));
    assert_eq!((both.within("early", 20, end), both.within("late", 20, end)), (1, 9));
    assert_eq!(endpoint.take("new", 1, 4, &both, end).await.of("new"), 0);
    assert_eq!(endpoint.take("late", 9, 4, &both, end).await.of("late"), 3);

    let unknown = Endpoint { table, webhook: WebhookId::new(Uuid::new_v4()) };
    assert_eq!(unknown.take("a", 1, 10, &nobody, NOW).await, nobody);
    assert_eq!(done(endpoints::get(table, unknown.webhook).await), None);
}
