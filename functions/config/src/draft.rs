//! What comes in and is checked beyond its shape: faults of its shape and of its meaning are told in one answer.

use axum::extract::{FromRequest, Request};
use fanhook_core::{fault::Fault, limits};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    input::{body, json, read},
    problem::{Problem, Result},
    shape::{self, Shape},
};

/// A body whose meaning is checked part by part.
pub(crate) trait Parts: ToSchema {
    /// The path of each, and behind it the paths of what it is checked against. While the shape of a body has faults, a fault of meaning is
    /// told only if there is no doubt about any of these; of what stands in none, nothing is told until the shape is right.
    const PARTS: &'static [&'static [&'static str]];
}

/// A JSON body as it was sent. Only [`Draft::check`] gives away what it says.
pub(crate) struct Draft<T>(Sent<T>);

enum Sent<T> {
    /// Its shape is right.
    Right(T),
    /// Its shape has faults; with what could be read without them.
    Wrong(Shape, Option<T>),
}

impl<T: DeserializeOwned + ToSchema, S: Send + Sync> FromRequest<S> for Draft<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self> {
        Self::parse(&body(request).await?)
    }
}

impl<T: DeserializeOwned + ToSchema> Draft<T> {
    fn parse(text: &[u8]) -> Result<Self> {
        let text = json(text)?;
        if shape::faults(&T::name(), text).is_empty() {
            return read(text).map(Sent::Right).map(Self);
        }
        let shape = shape::hold(&T::name(), text);
        // Beside as many faults as are told no others have a place.
        let rest = shape.rest.as_ref().filter(|_| shape.faults.len() < limits::FAULTS);
        let rest = rest.and_then(|rest| T::deserialize(rest).ok());
        Ok(Self(Sent::Wrong(shape, rest)))
    }
}

impl<T: Parts> Draft<T> {
    /// The input with what `check` makes of it; or all faults at once, those of the shape first.
    pub(crate) async fn check<'a, R, F: Future<Output = Result<R>>>(
        &'a self,
        check: impl FnOnce(&'a T) -> F,
    ) -> Result<(&'a T, R)> {
        let (shape, rest) = match &self.0 {
            Sent::Right(input) => return Ok((input, check(input).await?)),
            Sent::Wrong(shape, rest) => (shape, rest),
        };
        let mut faults = shape.faults.clone();
        if let Some(rest) = rest
            && let Err(problem) = check(rest).await
        {
            if problem.is_ours() {
                return Err(problem);
            }
            faults.extend(problem.into_errors().into_iter().filter(|fault| is_sure::<T>(fault, shape)));
        }
        Err(Problem::invalid(faults))
    }
}

/// Whether a fault of meaning stays one however the shape is put right.
fn is_sure<T: Parts>(fault: &Fault, shape: &Shape) -> bool {
    let own = T::PARTS.iter().filter(|part| is_within(&fault.field, part[0]));
    let narrowest = own.max_by_key(|part| part[0].len());
    narrowest.is_some_and(|part| !part.iter().any(|path| is_doubtful::<T>(path, shape)))
}

/// Whether something else may be meant than what is read at a path.
fn is_doubtful<T: Parts>(path: &str, shape: &Shape) -> bool {
    if shape.lost.iter().any(|lost| is_within(lost, path) || is_within(path, lost)) {
        return true;
    }
    let object = path.rsplit_once('.').map_or("", |(object, _)| object);
    let is_left_out = !shape.rest.as_ref().is_some_and(|rest| has(rest, path));
    // What is unknown may be a misspelt neighbour that is left out, or belong somewhere else by its name.
    shape.unknown.iter().any(|unknown| {
        is_within(&unknown.of, path)
            || is_left_out && unknown.of == object
            || unknown.may_belong(&T::name(), path)
    })
}

/// Whether a path is another one, or leads on from it.
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn has(value: &Value, path: &str) -> bool {
    path.split('.').try_fold(value, |value, name| value.get(name)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        grants::GrantInput, id_types::IdTypeInput, parameter_sources::ParameterSourceInput,
        pushes::PushInput, shape::tests::knows, webhooks::WebhookInput,
    };

    fn parts<T: Parts>() {
        for path in T::PARTS.iter().copied().flatten() {
            assert!(knows(&T::name(), path), "there is no `{path}` in {}", T::name());
        }
    }

    #[test]
    fn every_part_is_a_member_that_is_described() {
        parts::<GrantInput>();
        parts::<IdTypeInput>();
        parts::<ParameterSourceInput>();
        parts::<PushInput>();
        parts::<WebhookInput>();
    }
}
