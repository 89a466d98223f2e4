//! One recipient's request: its ID chosen, its message rendered and signed.

use std::borrow::Cow;

use bytes::Bytes;
use fanhook_core::{
    identity::{Merged, Profile},
    outcome::Reason,
    recipient::Recipient,
    template::{Rendered, Values},
    time::Millis,
};
use fanhook_outbound::{HeaderName, HeaderValue, Request, Target, header};

use crate::{credentials::Credentials, job::Job};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const FANHOOK_ATTEMPT: HeaderName = HeaderName::from_static("fanhook-attempt");
const FANHOOK_ID_TYPE: HeaderName = HeaderName::from_static("fanhook-id-type");

/// A request, and what of it is kept until its end.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    /// The `webhook-id`.
    pub(crate) delivery: String,
    /// The ID as it is sent: an answer must not carry it into the outcomes.
    pub(crate) id: String,
    /// The same before it was encrypted, which the receiver may give back as well.
    pub(crate) clear: Option<String>,
}

/// Makes requests of recipients; its buffers are used again.
pub(crate) struct Preparer<'a> {
    job: &'a Job,
    rendered: Rendered,
    body_size: usize,
}

/// What tells one request of a recipient from the next.
#[derive(Clone, Copy)]
pub(crate) struct Try<'a> {
    /// Tries used before.
    pub(crate) tries: u8,
    /// When.
    pub(crate) now: Millis,
    /// What it is signed and authenticated with.
    pub(crate) credentials: &'a Credentials,
}

impl<'a> Preparer<'a> {
    pub(crate) fn new(job: &'a Job) -> Self {
        Self { job, rendered: Rendered::default(), body_size: 0 }
    }

    /// The request of a recipient.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) fn prepare(
        &mut self,
        recipient: &Recipient<'_>,
        profile: Option<&Profile>,
        attempt: Try<'_>,
    ) -> Result<Prepared, Reason> {
        let job = self.job;
        let merged = profile.map(|profile| profile.merged(&job.pinned.sources));
        let (id_type, id): (&str, Cow<'_, str>) = if let Some(chosen) = &recipient.id {
            (chosen.id_type.as_str(), chosen.value.as_str().into())
        } else {
            let sent = job.chooser.first(&recipient.ids(), merged.as_ref()).ok_or(Reason::NoId)?;
            (sent.id_type.as_str(), sent.value)
        };
        let clear = attempt.credentials.organization_key.as_ref().map(|_| id.clone().into_owned());
        let id = match &attempt.credentials.organization_key {
            Some(key) => key.encrypt(&id).into(),
            None => id,
        };
        let tags: Vec<Option<&str>> = tags(job, recipient, merged.as_ref()).collect();
        let delivery = recipient.delivery_id(job.pinned.origin).to_string();
        let values = Values { id: &id, id_type, delivery_id: &delivery, tags: &tags };
        self.rendered.body.reserve(self.body_size);
        job.program.render(&values, &mut self.rendered).map_err(|unrendered| unrendered.reason())?;
        self.body_size = self.body_size.max(self.rendered.body.len());

        let target = match &job.target {
            Some(target) => target.clone(),
            None => Target::parse(&self.rendered.url).map_err(|_| Reason::InvalidRequest)?,
        };
        let own = self.own_headers(&delivery, id_type, attempt)?;
        let body = Bytes::from(std::mem::take(&mut self.rendered.body));
        let request = Request {
            method: job.method.clone(),
            target,
            shared: job.headers.clone(),
            own,
            body,
            wants_answer: false,
        };
        Ok(Prepared { request, delivery, id: id.into_owned(), clear })
    }

    fn own_headers(
        &self,
        delivery: &str,
        id_type: &str,
        attempt: Try<'_>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Reason> {
        let job = self.job;
        let mut own = Vec::with_capacity(6 + job.own_names.len());
        own.push((WEBHOOK_ID, text(delivery)?));
        own.push((WEBHOOK_TIMESTAMP, HeaderValue::from(attempt.now.seconds())));
        if let Some(signers) = &attempt.credentials.signers {
            let mut value = text(&signers.sign(delivery, attempt.now, self.rendered.body.as_bytes()))?;
            value.set_sensitive(true);
            own.push((WEBHOOK_SIGNATURE, value));
        }
        own.extend(attempt.credentials.header.clone());
        // Its token comes when it is sent.
        own.extend(attempt.credentials.tokens.as_ref().map(|_| (header::AUTHORIZATION, untold())));
        if job.pinned.content.carry_environment {
            own.push((FANHOOK_ATTEMPT, HeaderValue::from(u16::from(attempt.tries) + 1)));
            let known = job.id_types.iter().find(|(code, _)| code.as_str() == id_type);
            own.extend(known.map(|(_, value)| (FANHOOK_ID_TYPE, value.clone())));
        }
        for (name, value) in job.own_names.iter().zip(&self.rendered.headers) {
            own.push((name.clone(), text(value)?));
        }
        Ok(own)
    }
}

/// What is known of a recipient for each of the tags that a request needs: what stands inline beats the profile.
pub(crate) fn tags<'a>(
    job: &'a Job,
    recipient: &'a Recipient<'_>,
    profile: Option<&'a Merged<'a>>,
) -> impl Iterator<Item = Option<&'a str>> {
    let inline = |name: &str| recipient.tag(name).filter(|value| !value.is_empty());
    let stored = move |name: &str| profile.and_then(|profile| profile.tag(name));
    job.program.tags().iter().map(move |name| inline(name).or_else(|| stored(name)))
}

/// Stands where a secret will.
fn untold() -> HeaderValue {
    let mut value = HeaderValue::from_static("Bearer");
    value.set_sensitive(true);
    value
}

fn text(value: &str) -> Result<HeaderValue, Reason> {
    HeaderValue::from_str(value).map_err(|_| Reason::InvalidRequest)
}
