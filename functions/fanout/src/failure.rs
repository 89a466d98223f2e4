//! Why a part can't be read on.

use fanhook_core::audience::FileError;

/// What is wrong with a part's file: a code for programs, a text for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Failure {
    /// One of a few words, as in `wrong_header`.
    pub code: &'static str,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Failure {
    /// There is no file.
    pub fn missing() -> Self {
        Self { code: "file_missing", text: "the file is not there; upload it again and resume the run".to_owned() }
    }

    /// The file is another than the one that was begun with.
    pub fn replaced() -> Self {
        let text = "the file was replaced while it was read; upload the audience again and resume the run";
        Self { code: "file_replaced", text: text.to_owned() }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let code = match error {
            FileError::Unsupported { .. } => "unsupported_file",
            FileError::Header { .. } => "wrong_header",
            FileError::Changed { .. } => "audience_changed",
            FileError::TooLarge { .. } => "file_too_large",
            FileError::Truncated { .. } => "file_truncated",
            FileError::Corrupt { .. } => "file_damaged",
        };
        Self { code, text: error.to_string() }
    }
}
