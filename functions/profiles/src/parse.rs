//! What a message of the queue says: that files came, or that an import goes on.

use fanhook_core::id::{UploadId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// A message's body, in one of its three forms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Message {
    /// S3 tells of objects that were put.
    Created {
        /// One for each object.
        #[serde(rename = "Records")]
        records: Vec<Created>,
    },
    /// S3 tries whether it may send to the queue.
    Test {
        /// `s3:TestEvent`.
        #[serde(rename = "Event")]
        event: TestEvent,
    },
    /// An import that was handed over goes on.
    GoOn(GoOn),
}

/// An object that was put.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    s3: Entity,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Entity {
    object: Object,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Object {
    key: String,
}

/// The event that S3 sends when a notification is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TestEvent {
    /// Its only name.
    #[serde(rename = "s3:TestEvent")]
    Test,
}

/// Names an import: the message that it is handed over by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoOn {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The file.
    pub upload: UploadId,
}

impl Message {
    /// The files to import; none for an object that is not under a key of ours.
    pub fn files(self) -> Vec<Option<GoOn>> {
        match self {
            Self::Created { records } => records.iter().map(|created| file(&created.s3.object.key)).collect(),
            Self::Test { .. } => Vec::new(),
            Self::GoOn(file) => vec![Some(file)],
        }
    }
}

/// The file under `profiles/<workspace>/<upload>`. S3 writes keys as in a URL, where none of ours looks different.
fn file(key: &str) -> Option<GoOn> {
    let (workspace, upload) = key.strip_prefix("profiles/")?.split_once('/')?;
    Some(GoOn { workspace: workspace.parse().ok()?, upload: upload.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: &str = "upl_019abcdef0127abc8def0123456789ab";

    fn files(body: &str) -> Option<Vec<Option<String>>> {
        let message: Message = serde_json::from_str(body).ok()?;
        Some(message.files().into_iter().map(|file| Some(file?.upload.to_string())).collect())
    }

    #[test]
    fn an_object_under_our_prefix_is_a_file_and_another_is_none() {
        let record = |key: &str| {
            format!(r#"{{"eventName":"ObjectCreated:Put","s3":{{"object":{{"key":"{key}","size":1}}}}}}"#)
        };
        let body = format!(
            r#"{{"Records":[{},{},{}]}}"#,
            record(&format!("profiles/acme/{UPLOAD}")),
            record("profiles/acme/readme.txt"),
            record(&format!("profiles/AC%23ME/{UPLOAD}")),
        );
        assert_eq!(files(&body), Some(vec![Some(UPLOAD.to_owned()), None, None]));
    }

    #[test]
    fn the_event_that_sets_a_notification_up_is_ours_and_names_no_file() {
        let body = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-24T00:00:00.000Z","Bucket":"b"}"#;
        assert_eq!(files(body), Some(Vec::new()));
        assert_eq!(files(r#"{"Event":"s3:ObjectRemoved"}"#), None);
    }

    #[test]
    fn a_message_that_hands_over_is_read_as_it_is_written() {
        let upload = UPLOAD.parse().unwrap();
        let go_on = GoOn { workspace: "acme".parse().unwrap(), upload };
        assert_eq!(files(&serde_json::to_string(&go_on).unwrap()), Some(vec![Some(UPLOAD.to_owned())]));
        assert_eq!(files(r#"{"run":"run_1","part":0}"#), None);
    }
}
