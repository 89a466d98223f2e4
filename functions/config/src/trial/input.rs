//! Whom a message is made for, and of what: what the caller gives, or samples.

use std::collections::BTreeMap;

use fanhook_core::{
    fault::{Fault, nearest},
    id::{IdTypeCode, Name, PushId, Qaid},
    identity::{IdType, IdValue, Normaliser},
    limits,
    push::{IdPolicy, Push, PushContent, SendForm, StartedBy, VariableSource},
    recipient,
    webhook::{Parameter, ParameterType, Webhook},
};
use fanhook_store::id_types;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    id_types::check_enabled,
    problem::{Problem, Result},
};

/// The user of a message that is made for nobody.
const NOBODY: &str = "sample";

/// The ID to send to.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdInput {
    /// Code of its type.
    #[serde(rename = "type")]
    id_type: IdTypeCode,
    /// Its value, as a profile would hold it.
    #[schema(min_length = 1, max_length = 1024)]
    value: String,
}

/// A test send through a webhook alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": {"type": "MOBILE", "value": "+4915112345678"}, "values": {"text": "Happy birthday"}}))]
pub(crate) struct WebhookTest {
    /// Whom to send to.
    id: IdInput,
    /// A value for each parameter.
    #[serde(default)]
    values: BTreeMap<Name, String>,
}

/// A test send of a push.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": {"type": "MOBILE", "value": "+4915112345678"}, "variables": {"name": "Ann"}}))]
pub(crate) struct PushTest {
    /// Whom to send to.
    id: IdInput,
    /// A value for each variable; a missing one is empty.
    #[serde(default)]
    variables: BTreeMap<Name, String>,
}

/// A preview of a webhook's message; what is left out is made up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": {"type": "MOBILE", "value": "+4915112345678"}, "values": {"text": "Happy birthday"}}))]
pub(crate) struct WebhookPreview {
    /// A user, whose ID is read from the profile.
    #[serde(default)]
    pub(super) qaid: Option<Qaid>,
    /// The ID to send to; left out: one of the first type.
    #[serde(default)]
    id: Option<IdInput>,
    /// A value for each parameter; left out: made up.
    #[serde(default)]
    values: Option<BTreeMap<Name, String>>,
}

/// A preview of a push's message; what is left out is made up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": {"type": "MOBILE", "value": "+4915112345678"}, "variables": {"name": "Ann"}}))]
pub(crate) struct PushPreview {
    /// A user, whose ID and tags are read from the profile.
    #[serde(default)]
    pub(super) qaid: Option<Qaid>,
    /// The ID to send to; left out: one of the first type.
    #[serde(default)]
    id: Option<IdInput>,
    /// A value for each variable, beside `qaid` for those alone that an event's attributes give; a missing one is empty. Left out: their names,
    /// beside `qaid` nothing.
    #[serde(default)]
    variables: Option<BTreeMap<Name, String>>,
}

/// The user of a message.
#[derive(Debug)]
pub(crate) struct Sample {
    qaid: String,
    ids: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    /// Whether the rest is read from the profile.
    pub(super) profile: bool,
}

impl Sample {
    /// The user as a line of a segment.
    pub(super) fn line(&self) -> String {
        fn pairs(list: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
            list.iter().map(|(name, value)| (name.as_str(), value.as_str()))
        }
        let mut line = Vec::new();
        recipient::write(&mut line, &self.qaid, pairs(&self.ids), pairs(&self.tags));
        String::from_utf8_lossy(&line).into_owned()
    }

    fn of(qaid: Option<Qaid>, ids: Vec<(String, String)>) -> Self {
        let profile = qaid.is_some();
        let qaid = qaid.map_or_else(|| NOBODY.to_owned(), Into::into);
        Self { qaid, ids, tags: Vec::new(), profile }
    }
}

impl WebhookTest {
    pub(super) async fn read(self, caller: &Caller, webhook: &Webhook) -> Result<(Push, Sample)> {
        let Self { id, values } = self;
        let input = WebhookPreview { qaid: None, id: Some(id), values: Some(values) };
        input.read(caller, webhook).await
    }
}

impl WebhookPreview {
    /// A push of nothing but these values, and its user.
    pub(super) async fn read(self, caller: &Caller, webhook: &Webhook) -> Result<(Push, Sample)> {
        let Self { qaid, id, values } = self;
        let types = id_types::get(&*caller.config, &caller.workspace).await?.types;
        let mut faults = check_id(id.as_ref(), qaid.as_ref());
        let enabled = |code: &&IdTypeCode| types.iter().any(|known| known.enabled && known.code == **code);
        let id_types: Vec<_> = match (&id, &qaid) {
            (Some(id), _) => vec![id.id_type.clone()],
            (None, Some(_)) => webhook.id_types.iter().filter(enabled).cloned().collect(),
            (None, None) => webhook.id_types.first().cloned().into_iter().collect(),
        };
        if id_types.is_empty() {
            faults.push(Fault::new("qaid", "none of the webhook's ID types is enabled"));
            return Err(Problem::invalid(faults));
        }
        let parameters = webhook.content.parameters.iter();
        let parameters = parameters.filter(|parameter| parameter.kind != ParameterType::Call);
        let values = values.unwrap_or_else(|| {
            parameters.map(|parameter| (parameter.name.clone(), sample(parameter))).collect()
        });
        // They are the values themselves: nothing in them is a variable.
        let values = values.into_iter().map(|(name, value)| (name, value.replace("${", "$${"))).collect();
        let content = PushContent {
            id_types,
            id_policy: IdPolicy::First,
            send_form: SendForm::Plain,
            values,
            variables: Vec::new(),
            started_by: StartedBy::Audience,
        };
        faults.extend(content.check(Some(webhook)));
        faults.extend(check_enabled(&content.id_types, &types));
        finish(faults)?;
        let ids = ids(id.as_ref(), qaid.as_ref(), content.id_types.first(), &types);
        let push = Push {
            id: PushId::new(caller.random.uuid7(caller.now)),
            workspace: caller.workspace.clone(),
            version: 1,
            name: webhook.name.clone(),
            webhook: webhook.id,
            content,
        };
        Ok((push, Sample::of(qaid, ids)))
    }
}

impl PushTest {
    pub(super) async fn read(self, caller: &Caller, push: Push) -> Result<(Push, Sample)> {
        let Self { id, variables } = self;
        let input = PushPreview { qaid: None, id: Some(id), variables: Some(variables) };
        input.read(caller, push).await
    }
}

impl PushPreview {
    /// The push and its user. Where values are given, variables take them by their own names, so that two of one tag may differ.
    pub(super) async fn read(self, caller: &Caller, mut push: Push) -> Result<(Push, Sample)> {
        let Self { qaid, id, variables } = self;
        let types = id_types::get(&*caller.config, &caller.workspace).await?.types;
        let mut faults = check_id(id.as_ref(), qaid.as_ref());
        let allowed = &push.content.id_types;
        if let Some(id) = id.as_ref().filter(|id| !allowed.contains(&id.id_type)) {
            let names: Vec<_> = allowed.iter().map(|code| format!("`{code}`")).collect();
            let fault = Fault::new("id.type", format!("the push does not send the ID type `{}`", id.id_type));
            faults.push(fault.hint(format!("it sends {}", names.join(", "))));
        }
        faults.extend(check_variables(variables.as_ref(), &push.content, qaid.is_some()));
        finish(faults)?;
        let code = id.as_ref().map(|id| id.id_type.clone()).or_else(|| allowed.first().cloned());
        let ids = ids(id.as_ref(), qaid.as_ref(), code.as_ref(), &types);
        let mut user = Sample::of(qaid, ids);
        let known = user.profile;
        for variable in push.content.variables.iter_mut().filter(|variable| !known || variable.is_attribute())
        {
            let name = variable.name.as_str().to_owned();
            let value = match &variables {
                Some(given) => given.get(&variable.name).cloned().unwrap_or_default(),
                None if known => String::new(),
                None => name.clone(),
            };
            // A profile has no tag whose name holds a control character: none is hidden by this one.
            let tag = if known { format!("\u{1}{name}") } else { name };
            user.tags.push((tag.clone(), value));
            variable.source = VariableSource::Tag(tag);
        }
        Ok((push, user))
    }
}

fn check_id(id: Option<&IdInput>, qaid: Option<&Qaid>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if id.is_some_and(|id| IdValue::read(&id.value).is_none()) {
        faults.push(Fault::new("id.value", IdValue::RULE));
    }
    if id.is_some() && qaid.is_some() {
        faults.push(Fault::new("id", "the IDs of a user are in the profile").hint("give `id` or `qaid`"));
    }
    faults
}

/// Checks the values of a push's variables; of a user `has_profile`, tags are told there.
fn check_variables(
    given: Option<&BTreeMap<Name, String>>,
    content: &PushContent,
    has_profile: bool,
) -> Vec<Fault> {
    let known = || content.variables.iter().map(|variable| variable.name.as_str());
    let in_profile = |name: &Name| {
        has_profile
            && content.variables.iter().any(|variable| variable.name == *name && !variable.is_attribute())
    };
    let check = |(name, value): (&Name, &String)| {
        let field = format!("variables.{name}");
        if !known().any(|known| known == name.as_str()) {
            let fault = Fault::new(field, format!("the push has no variable `{name}`"));
            return Some(match nearest(name.as_str(), known()) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
        if in_profile(name) {
            return Some(Fault::new(field, "the value of this variable is in the user's profile"));
        }
        let long = value.len() > limits::SAMPLE;
        long.then(|| Fault::new(field, format!("a value has at most {} bytes", limits::SAMPLE)))
    };
    given.into_iter().flatten().filter_map(check).collect()
}

/// All faults, each under the field that the caller wrote.
fn finish(faults: Vec<Fault>) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let own = |fault: Fault| match fault.field.as_str() {
        "id_types" | "id_types[0]" => Fault { field: "id.type".to_owned(), ..fault },
        _ => fault,
    };
    let mut faults: Vec<Fault> = faults.into_iter().map(own).collect();
    // One fault a field: a type that is not the webhook's need not be told to be disabled as well.
    let mut told = std::collections::HashSet::new();
    faults.retain(|fault| fault.field != "id.type" || told.insert(fault.field.clone()));
    Err(Problem::invalid(faults))
}

/// The ID that is given; one that is made up where nobody is; none where the profile has them.
fn ids(
    id: Option<&IdInput>,
    qaid: Option<&Qaid>,
    code: Option<&IdTypeCode>,
    types: &[IdType],
) -> Vec<(String, String)> {
    match (id, qaid, code) {
        (Some(id), _, _) => vec![(id.id_type.to_string(), id.value.clone())],
        (None, None, Some(code)) => {
            let normaliser = types.iter().find(|known| known.code == *code).map(|known| known.normaliser);
            let value = match normaliser {
                Some(Normaliser::Phone) => "+14155550100",
                Some(Normaliser::Email) => "member@example.com",
                _ => "sample-id",
            };
            vec![(code.as_str().to_owned(), value.to_owned())]
        }
        _ => Vec::new(),
    }
}

/// A value that a parameter takes.
fn sample(parameter: &Parameter) -> String {
    match parameter.kind {
        ParameterType::Character | ParameterType::Text | ParameterType::Call => parameter.name.as_str(),
        ParameterType::Numeric => "1",
        ParameterType::Date => "2027-01-15",
    }
    .to_owned()
}
