//! Requests: IDs chosen, messages rendered and signed, of one recipient or of several.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use fanhook_core::{
    identity::{Merged, Profile},
    outcome::Reason,
    recipient::{DeliveryId, Recipient, request_id},
    template::{Added, Rendered, Unrendered, Values},
    time::Millis,
};
use fanhook_outbound::{HeaderName, HeaderValue, Request, Target, header};

use crate::{credentials::Credentials, job::Job, parse::Recipients};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const FANHOOK_ATTEMPT: HeaderName = HeaderName::from_static("fanhook-attempt");
const FANHOOK_ID_TYPE: HeaderName = HeaderName::from_static("fanhook-id-type");

/// A request, and what of it is kept until its end.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    /// The recipients in it, in their order.
    pub(crate) sent: Vec<Sent>,
}

/// A recipient in a request.
pub(crate) struct Sent {
    pub(crate) index: usize,
    /// The recipient's `webhook-id`.
    pub(crate) delivery: DeliveryId,
    /// The ID as it is sent: an answer must not carry it into the outcomes.
    pub(crate) id: String,
    /// The same before it was encrypted, which the receiver may give back as well.
    pub(crate) clear: Option<String>,
}

/// Why a recipient has no request.
#[derive(Clone, Debug)]
pub(crate) struct Unsent {
    pub(crate) reason: Reason,
    /// What broke which rule, where that is known. Nothing of the user is in it.
    pub(crate) detail: Option<String>,
}

impl From<Reason> for Unsent {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None }
    }
}

impl From<Unrendered> for Unsent {
    fn from(unrendered: Unrendered) -> Self {
        Self { reason: unrendered.reason(), detail: Some(unrendered.to_string()) }
    }
}

/// What comes of recipients who are to share a request.
#[derive(Default)]
pub(crate) struct Batch {
    /// None where none of them can be sent to.
    pub(crate) prepared: Option<Prepared>,
    /// Those who cannot be sent to, and why.
    pub(crate) refused: Vec<(usize, Reason)>,
    /// Those who found no room, or have an ID of another type: for the next request.
    pub(crate) left: Vec<usize>,
}

/// What became of one recipient of a batch.
enum Step {
    Added(Sent),
    OtherType,
    Full,
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

    /// The request of recipients who may share one; of more than one only where requests may hold several.
    pub(crate) fn batch(
        &mut self,
        indexes: &[usize],
        recipients: &Recipients<'_>,
        attempt: Try<'_>,
    ) -> Batch {
        let mut batch = Batch::default();
        if self.job.batch_size == 1 {
            for &index in indexes {
                match caught(|| self.prepare(index, recipients, attempt).map_err(|unsent| unsent.reason)) {
                    Ok(prepared) => batch.prepared = Some(prepared),
                    Err(reason) => batch.refused.push((index, reason)),
                }
            }
            return batch;
        }
        let (mut sent, mut id_type) = (Vec::with_capacity(indexes.len()), None);
        for (at, &index) in indexes.iter().enumerate() {
            let before = id_type.is_some().then_some(self.rendered.body.len());
            match caught(|| self.add(index, recipients, &mut id_type, attempt)) {
                Ok(Step::Added(added)) => sent.push(added),
                Ok(Step::OtherType) => batch.left.push(index),
                Ok(Step::Full) => {
                    batch.left.extend(&indexes[at..]);
                    break;
                }
                Err(reason) => {
                    // Our own code may have broken off in the middle of an item, or of the beginning.
                    match before {
                        Some(before) => self.rendered.body.truncate(before),
                        None => id_type = None,
                    }
                    batch.refused.push((index, reason));
                }
            }
        }
        if let Some(id_type) = id_type.filter(|_| !sent.is_empty()) {
            let indexes: Vec<usize> = sent.iter().map(|sent: &Sent| sent.index).collect();
            let end = || {
                self.job.program.end(&mut self.rendered);
                self.request(sent, &id_type, attempt)
            };
            match caught(end) {
                Ok(prepared) => batch.prepared = Some(prepared),
                Err(reason) => batch.refused.extend(indexes.into_iter().map(|index| (index, reason))),
            }
        }
        batch
    }

    /// The request of one recipient, who shares it with nobody.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn prepare(
        &mut self,
        index: usize,
        recipients: &Recipients<'_>,
        attempt: Try<'_>,
    ) -> Result<Prepared, Unsent> {
        let job = self.job;
        let recipient = recipients.get(index).ok_or(Reason::Internal)?;
        let merged = merged(job, recipients.profile(recipient));
        let Chosen { id_type, id, clear } = chosen(job, recipient, merged.as_ref(), attempt.credentials)?;
        let tags: Vec<Option<&str>> = tags(job, recipient, merged.as_ref()).collect();
        let delivery = recipient.delivery_id(job.pinned.origin);
        let values = Values { id: &id, id_type, delivery_id: &delivery.to_string(), tags: &tags };
        self.rendered.body.reserve(self.body_size);
        job.program.render(&values, &mut self.rendered)?;
        let sent = Sent { index, delivery, id: id.into_owned(), clear };
        Ok(self.request(vec![sent], id_type, attempt)?)
    }

    /// Adds a recipient's item to the request, which the first one begins; `begun` is the ID type of those in it.
    fn add(
        &mut self,
        index: usize,
        recipients: &Recipients<'_>,
        begun: &mut Option<String>,
        attempt: Try<'_>,
    ) -> Result<Step, Reason> {
        let job = self.job;
        let recipient = recipients.get(index).ok_or(Reason::Internal)?;
        let merged = merged(job, recipients.profile(recipient));
        let Chosen { id_type, id, clear } = chosen(job, recipient, merged.as_ref(), attempt.credentials)?;
        match begun {
            Some(begun) if begun != id_type => return Ok(Step::OtherType),
            Some(_) => {}
            None => {
                self.rendered.body.reserve(self.body_size);
                job.program.begin(id_type, &mut self.rendered).map_err(|unrendered| unrendered.reason())?;
                *begun = Some(id_type.to_owned());
            }
        }
        let tags: Vec<Option<&str>> = tags(job, recipient, merged.as_ref()).collect();
        let delivery = recipient.delivery_id(job.pinned.origin);
        let values = Values { id: &id, id_type, delivery_id: &delivery.to_string(), tags: &tags };
        match job.program.add(&values, &mut self.rendered).map_err(|unrendered| unrendered.reason())? {
            Added::Added => Ok(Step::Added(Sent { index, delivery, id: id.into_owned(), clear })),
            Added::Full => Ok(Step::Full),
        }
    }

    /// The request that was rendered.
    fn request(&mut self, sent: Vec<Sent>, id_type: &str, attempt: Try<'_>) -> Result<Prepared, Reason> {
        let job = self.job;
        self.body_size = self.body_size.max(self.rendered.body.len());
        let target = match &job.target {
            Some(target) => target.clone(),
            None => Target::parse(&self.rendered.url).map_err(|_| Reason::InvalidRequest)?,
        };
        let webhook_id = match sent.as_slice() {
            [one] => one.delivery,
            all => request_id(&all.iter().map(|sent| sent.delivery).collect::<Vec<_>>()),
        };
        let own = self.own_headers(&webhook_id.to_string(), id_type, attempt)?;
        let body = Bytes::from(std::mem::take(&mut self.rendered.body));
        let request = Request {
            method: job.method.clone(),
            target,
            shared: job.headers.clone(),
            own,
            body,
            keep_answer: job.pinned.content.success.is_some(),
        };
        Ok(Prepared { request, sent })
    }

    fn own_headers(
        &self,
        webhook_id: &str,
        id_type: &str,
        attempt: Try<'_>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Reason> {
        let job = self.job;
        let mut own = Vec::with_capacity(6 + job.own_names.len());
        own.push((WEBHOOK_ID, text(webhook_id)?));
        own.push((WEBHOOK_TIMESTAMP, HeaderValue::from(attempt.now.seconds())));
        if let Some(signers) = &attempt.credentials.signers {
            let mut value = text(&signers.sign(webhook_id, attempt.now, self.rendered.body.as_bytes()))?;
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

/// One user's values that trip our own code are that user's end alone.
fn caught<T>(work: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Reason::Internal))
}

/// What is stored of a recipient, its sources merged.
pub(crate) fn merged<'a>(job: &'a Job, profile: Option<&'a Profile>) -> Option<Merged<'a>> {
    profile.map(|profile| profile.merged(&job.pinned.sources))
}

/// The ID that is sent.
struct Chosen<'a> {
    id_type: &'a str,
    id: Cow<'a, str>,
    /// Before it was encrypted.
    clear: Option<String>,
}

fn chosen<'a>(
    job: &'a Job,
    recipient: &'a Recipient<'_>,
    profile: Option<&Merged<'a>>,
    credentials: &Credentials,
) -> Result<Chosen<'a>, Reason> {
    let (id_type, id): (&str, Cow<'a, str>) = if let Some(chosen) = &recipient.id {
        (chosen.id_type.as_str(), chosen.value.as_str().into())
    } else {
        let sent = job.chooser.first(&recipient.ids(), profile).ok_or(Reason::NoId)?;
        (sent.id_type.as_str(), sent.value)
    };
    Ok(match &credentials.organization_key {
        Some(key) => Chosen { id_type, id: key.encrypt(&id).into(), clear: Some(id.into_owned()) },
        None => Chosen { id_type, id, clear: None },
    })
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
