//! What a request meets, by the first segments of its path.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// What the requests to a path meet; the crate's table of paths says more of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// The coupon CRM.
    Crm,
    /// Always this status.
    Status(u16),
    /// 500 at so many first tries of each message.
    Fail(u32),
    /// 429 with `Retry-After`, for that long from the first request on.
    RetryAfter(Duration),
    /// 200; its handshake allows so many requests a minute.
    Rate(u32),
    /// 200, after so long.
    Slow(Duration),
    /// Always this status, and in its body the request that it answers.
    Echo(u16),
    /// An access token, as OAuth 2.0 has one.
    Token,
    /// A redirect, to the path of a CRM where nobody may arrive.
    Redirect,
    /// No answer.
    Never,
    /// An answer that goes on for ever, slowly.
    Drip,
    /// An answer that goes on for ever, fast.
    Huge,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
    /// Half an answer.
    Cut,
    /// No HTTP.
    Garbage,
}

impl Behaviour {
    /// The behaviour of a path; none where the path names none.
    pub fn of(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let name = segments.next()?;
        let mut number = || segments.next()?.parse::<u32>().ok();
        let status = |number| u16::try_from(number).ok().filter(|status| (200..1000).contains(status));
        Some(match name {
            "crm" => Self::Crm,
            "status" => Self::Status(status(number()?)?),
            "echo" => Self::Echo(status(number()?)?),
            "token" => Self::Token,
            "fail" => Self::Fail(number()?),
            "retry-after" => Self::RetryAfter(Duration::from_secs(number()?.into())),
            "rate" => Self::Rate(number()?),
            "slow" => Self::Slow(Duration::from_millis(number()?.into())),
            "redirect" => Self::Redirect,
            "never" => Self::Never,
            "drip" => Self::Drip,
            "huge" => Self::Huge,
            "close" => Self::Close,
            "reset" => Self::Reset,
            "cut" => Self::Cut,
            "garbage" => Self::Garbage,
            _ => return None,
        })
    }
}

/// What the CRM does with a message, told by its `webhook-id` alone: a test can work out what a run must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is taken at once.
    Taken,
    /// 503 at its first try, then it is taken: 50 of 1,000 messages.
    BusyOnce,
    /// 400 at every try: 2 of 1,000 messages.
    Refused,
}

/// What the CRM does with the message of this `webhook-id`.
pub fn fate(webhook_id: &str) -> Fate {
    let digest = Sha256::digest(webhook_id);
    match u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 1000 {
        0..50 => Fate::BusyOnce,
        50..52 => Fate::Refused,
        _ => Fate::Taken,
    }
}

/// The coupon that the CRM issues for a message: the same each time it is asked.
pub fn coupon(webhook_id: &str) -> String {
    let digest = Sha256::digest(webhook_id);
    format!("C-{:08X}", u32::from_be_bytes([digest[4], digest[5], digest[6], digest[7]]))
}

/// The access token that a path gives to everybody.
pub fn access_token(path: &str) -> String {
    Sha256::digest(path).iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_behaviour() {
        assert_eq!(Behaviour::of("/crm"), Some(Behaviour::Crm));
        assert_eq!(Behaviour::of("/crm/spring/2"), Some(Behaviour::Crm));
        assert_eq!(Behaviour::of("/status/418/x"), Some(Behaviour::Status(418)));
        assert_eq!(Behaviour::of("/retry-after/3"), Some(Behaviour::RetryAfter(Duration::from_secs(3))));
        assert_eq!(Behaviour::of("/echo/500/x"), Some(Behaviour::Echo(500)));
        for path in ["", "/", "crm", "/status", "/status/99", "/echo/99", "/fail/many", "/unknown"] {
            assert_eq!(Behaviour::of(path), None, "{path}");
        }
    }

    #[test]
    fn one_message_of_twenty_is_answered_busy_once_and_a_few_are_refused() {
        let fates: Vec<Fate> = (0..100_000).map(|n| fate(&format!("msg_{n}"))).collect();
        let count = |wanted| fates.iter().filter(|&&fate| fate == wanted).count();
        assert!((4_700..5_300).contains(&count(Fate::BusyOnce)));
        assert!((140..260).contains(&count(Fate::Refused)));
    }

    #[test]
    fn a_message_gets_the_same_coupon_each_time() {
        assert_eq!(coupon("msg_1"), coupon("msg_1"));
        assert_ne!(coupon("msg_1"), coupon("msg_2"));
    }
}
