//! JSON pointers (RFC 6901), as people write them.

use crate::{fault::Fault, limits};

/// Checks a JSON pointer.
pub(crate) fn check(field: &str, pointer: &str, faults: &mut Vec<Fault>) {
    if pointer.len() > limits::POINTER {
        faults.push(Fault::new(field, format!("a JSON pointer has at most {} bytes", limits::POINTER)));
    } else if !pointer.is_empty() && !pointer.starts_with('/') {
        let fault = Fault::new(field, "a JSON pointer is empty or begins with `/` (RFC 6901)").at(pointer, 0);
        faults.push(fault.hint(format!("did you mean `/{pointer}`?")));
    } else {
        let escapes = pointer
            .match_indices('~')
            .find(|(at, _)| !matches!(pointer.as_bytes().get(at + 1), Some(b'0' | b'1')));
        if let Some((at, _)) = escapes {
            let fault =
                Fault::new(field, "`~` begins no escape of a JSON pointer (RFC 6901)").at(pointer, at);
            faults.push(fault.hint("write `~0` for `~`, and `~1` for a `/` inside a name"));
        }
    }
}

/// The tokens of a JSON pointer; none where it does not begin as one.
pub(crate) fn tokens(pointer: &str) -> Option<impl Iterator<Item = String>> {
    let rest = if pointer.is_empty() { None } else { Some(pointer.strip_prefix('/')?) };
    let tokens = rest.into_iter().flat_map(|rest| rest.split('/'));
    Some(tokens.map(|token| token.replace("~1", "/").replace("~0", "~")))
}
