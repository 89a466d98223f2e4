//! How a webhook's requests are signed, and the change from one secret to the next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{signature::Algorithm, time::Millis};

/// How a request is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Signing {
    /// Not at all.
    None {},
    /// By Standard Webhooks.
    StandardWebhooks {
        /// The secret of now.
        secret: SigningSecret,
        /// The one before it, where receivers may still know no other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<PreviousSecret>,
    },
}

/// A signing secret as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningSecret {
    /// What it signs by.
    pub algorithm: Algorithm,
    /// KMS ciphertext of the secret's bytes, base64; encryption context: workspace, webhook, field.
    pub ciphertext: String,
    /// Of Ed25519: the public key in text form, `whpk_` and base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// A secret that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: SigningSecret,
    /// Requests from then on are not signed with it.
    pub valid_until: Millis,
}

impl Signing {
    /// The algorithm of now; none where requests are not signed.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::None {} => None,
            Self::StandardWebhooks { secret, .. } => Some(secret.algorithm),
        }
    }

    /// The same with a new secret: the one of now stays valid beside it for `overlap` more, the one before that no longer.
    #[must_use]
    pub fn rotated(&self, new: SigningSecret, overlap: Duration, now: Millis) -> Self {
        let previous = match self {
            Self::StandardWebhooks { secret, .. } if !overlap.is_zero() => {
                Some(PreviousSecret { secret: secret.clone(), valid_until: now + overlap })
            }
            _ => None,
        };
        Self::StandardWebhooks { secret: new, previous }
    }

    /// The same with the secret before stays valid for at most `overlap` more.
    #[must_use]
    pub fn shortened(&self, overlap: Duration, now: Millis) -> Self {
        let mut signing = self.clone();
        if let Self::StandardWebhooks { previous, .. } = &mut signing {
            *previous = previous.take().filter(|_| !overlap.is_zero()).map(|previous| PreviousSecret {
                valid_until: previous.valid_until.min(now + overlap),
                ..previous
            });
        }
        signing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn secret(name: &str) -> SigningSecret {
        SigningSecret { algorithm: Algorithm::default(), ciphertext: name.to_owned(), public_key: None }
    }

    /// The secret of now, the one before and how long that is valid from now on.
    fn told(signing: &Signing) -> (&str, Option<(&str, Duration)>) {
        let Signing::StandardWebhooks { secret, previous } = signing else { panic!("it is not signed") };
        let previous = previous
            .as_ref()
            .map(|previous| (previous.secret.ciphertext.as_str(), previous.valid_until.since(NOW)));
        (&secret.ciphertext, previous)
    }

    #[test]
    fn a_secret_that_is_replaced_stays_valid_for_a_while_and_a_third_one_ends_the_first() {
        let first = Signing::None {}.rotated(secret("a"), limits::OVERLAP, NOW);
        assert_eq!(told(&first), ("a", None));
        let second = first.rotated(secret("b"), limits::OVERLAP, NOW);
        assert_eq!(told(&second), ("b", Some(("a", limits::OVERLAP))));
        let third = second.rotated(secret("c"), Duration::from_mins(1), NOW);
        assert_eq!(told(&third), ("c", Some(("b", Duration::from_mins(1)))));
        assert_eq!(told(&third.rotated(secret("d"), Duration::ZERO, NOW)), ("d", None));
    }

    #[test]
    fn an_overlap_can_be_ended_early_and_never_made_longer() {
        let hour = Duration::from_hours(1);
        let signing = Signing::None {}.rotated(secret("a"), hour, NOW).rotated(secret("b"), hour, NOW);
        assert_eq!(told(&signing.shortened(limits::OVERLAP, NOW)), ("b", Some(("a", hour))));
        let minute = Duration::from_mins(1);
        assert_eq!(told(&signing.shortened(minute, NOW)), ("b", Some(("a", minute))));
        assert_eq!(told(&signing.shortened(Duration::ZERO, NOW)), ("b", None));
        assert_eq!(Signing::None {}.shortened(hour, NOW), Signing::None {});
    }
}
