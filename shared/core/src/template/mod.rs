//! The template language: `{parameter}` in a webhook's content, `${variable}` in a push's values.
//!
//! A webhook's content (URL, header values, body) is parsed once, each part by the rules of its own format, into
//! literal text and holes that know how to escape what they take ([`Skeleton`]). With a push's values it becomes a
//! [`Program`]: values that never change are escaped and merged into the literals, and what is left are slots for
//! the ID and for the user's tags. Rendering one user is one pass over that list into buffers that are used again.
//!
//! # What a value can and cannot do
//!
//! | where | escape | what no value can change |
//! | --- | --- | --- |
//! | JSON string | `"`, `\` and control characters | the document's structure; a key never meets another of its object |
//! | URL path | all but RFC 3986 unreserved as `%XX` | origin, number of segments |
//! | URL query, form body | all but RFC 3986 unreserved as `%XX` | number of pairs; a key never meets another |
//! | header value | all but visible ASCII and space, and `%`, as `%XX` | the header's line |
//! | text | none | |
//! | line of a text body | none | the number of lines |
//!
//! Three things no escape can keep: a path segment that consists of nothing but dots (URL parsers read `%2e%2e` as
//! `..` too), one that is empty, and a line of a text body that holds a line break. So a user whose values would make
//! one is not sent to ([`Unrendered`]).
//! Values are never expanded again: a tag that holds `{id}` or `${name}` stays that text.
//!
//! # Syntax
//!
//! `{{` and `}}` are literal braces, `$${` in a push's value is a literal `${`. In a JSON body placeholders stand
//! inside strings; braces outside strings are JSON's own and are not doubled. A string that is exactly one
//! placeholder of a numeric parameter becomes that number, or `null` where an optional one has no value.
//!
//! # Several users in one request
//!
//! A body may consist of a root and items, one for each user. `{items}` stands in the root once: in JSON as a string of its
//! own, which becomes the array of the items; in a text the items stand there, a line each. Where a request may hold more
//! than one user, URL, headers and root hold what is the same for all of them; `{id_type}` is, for a request holds users of
//! one ID type.

mod address;
mod compile;
mod escape;
mod json;
mod list;
mod pairs;
mod parse;
mod render;
mod skeleton;
mod text;
mod value;

#[cfg(test)]
mod tests;

pub use compile::{Heading, Program};
pub use render::{Added, Rendered, Unrendered, Values};
pub use skeleton::Skeleton;

/// Names that the language itself defines, so that no parameter may take them.
pub const BUILT_IN: [&str; 5] = ["id", "id_type", "delivery_id", "items", "receipt"];

pub(crate) use address::origin;

pub(crate) use value::{Value, check as check_value, parse as parse_value};
