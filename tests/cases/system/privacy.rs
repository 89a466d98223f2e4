//! What stays out of the logs.

use std::fs;

use anyhow::{Result, ensure};
use fanhook_tests::crowd::Meets;

use crate::world::World;

/// Users whose data is looked for.
const USERS: u64 = 500;

/// The last case: it looks at what all others have caused to be logged.
pub(crate) async fn no_log_holds_a_secret_or_personal_data(world: &World) -> Result<()> {
    let mut canaries: Vec<String> =
        world.secrets().iter().map(|secret| secret.trim_start_matches("whsec_").to_owned()).collect();
    for user in world.crowd.users(0..USERS) {
        if let Meets::Message { mobile, text } = user.meets {
            canaries.extend([mobile.trim_start_matches('+').to_owned(), text]);
        }
        canaries.extend(user.said.iter().filter_map(|said| said.email.clone()));
    }
    canaries.extend(["Guest 1".to_owned(), "Björn".to_owned(), "Ольга".to_owned(), "小明".to_owned()]);
    let mut looked = 0;
    for function in ["config", "fanout", "dispatch", "deliver", "profiles"] {
        let log = fs::read_to_string(world.stack.log_file(function)?)?;
        looked += log.len();
        for canary in &canaries {
            let line = log.lines().find(|line| line.contains(canary.as_str()));
            ensure!(line.is_none(), "{function} has logged {canary:?}: {line:?}");
        }
    }
    ensure!(looked > 0, "nothing was logged at all");
    Ok(())
}
