//! Rendering one user's body: the compiled program, beside `minijinja` doing the same work in the same run.
//!
//! Both escape for JSON by the same rules and take the same users. `minijinja` makes a new string each time, which is
//! the fastest of its ways to render.

use std::hint::black_box;
use std::time::Instant;

use fanhook_core::push::PushContent;
use fanhook_core::template::{Heading, Program, Rendered, Values};
use fanhook_core::webhook::Content;
use serde_json::{Value, json};

const VARIABLES: [&str; 6] = ["name", "city", "tier", "points", "shop", "until"];
const USERS: usize = 64;
const ROUNDS: usize = 200;
const RENDERS_A_ROUND: u16 = 1_000;

/// Nanoseconds a render of a 6-variable JSON body of 400 bytes: ours, and `minijinja`'s. The best of many short rounds,
/// in turns, so that a busy machine disturbs both alike.
pub(crate) fn render_bench() -> (f64, f64) {
    let users: Vec<User> = (0..USERS).map(User::numbered).collect();
    let program = program();
    let mut rendered = Rendered::default();
    let environment = environment();
    let template = environment.get_template("body").expect("the template parses");

    let mut render = |user: &User| {
        let tags = user.tags();
        let values = Values { id: "", id_type: "MOBILE", delivery_id: "", tags: &tags.map(Some) };
        program.render(&values, &mut rendered).expect("the user renders");
        black_box(rendered.body.as_bytes()).len()
    };
    let mut render_jinja = |user: &User| {
        let body = template
            .render(minijinja::Value::from_pairs(VARIABLES.into_iter().zip(user.tags())))
            .expect("the user renders");
        black_box(body.as_bytes()).len()
    };
    for user in &users {
        assert_eq!(render(user), render_jinja(user), "both render the same body");
    }
    let bytes: usize = users.iter().map(&mut render).sum();
    assert!((380..=420).contains(&(bytes / USERS)), "a body has about 400 bytes, not {}", bytes / USERS);

    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        best.0 = best.0.min(nanos_each(&users, &mut render));
        best.1 = best.1.min(nanos_each(&users, &mut render_jinja));
    }
    best
}

fn nanos_each(users: &[User], render: &mut impl FnMut(&User) -> usize) -> f64 {
    let started = Instant::now();
    for user in users.iter().cycle().take(RENDERS_A_ROUND.into()) {
        black_box(render(user));
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(RENDERS_A_ROUND)
}

/// A user's six tags: some in other scripts, some with characters that JSON escapes.
struct User {
    name: String,
    city: String,
    tier: String,
    points: String,
    shop: String,
    until: String,
}

impl User {
    fn numbered(n: usize) -> Self {
        let name = ["Zoë van Dijk", "王小明", "Ольга Иванова", "Ann \"Annie\" Lee"][n % 4];
        Self {
            name: name.to_owned(),
            city: ["Hangzhou", "Köln", "São Paulo"][n % 3].to_owned(),
            tier: ["gold", "silver"][n % 2].to_owned(),
            points: (n * 137).to_string(),
            shop: "West Lake Store No. 12".to_owned(),
            until: "2026-12-31".to_owned(),
        }
    }

    fn tags(&self) -> [&str; 6] {
        [&self.name, &self.city, &self.tier, &self.points, &self.shop, &self.until]
    }
}

/// The body, with each variable as `placeholder` writes it.
fn body(placeholder: impl Fn(&str) -> String) -> String {
    let [name, city, tier, points, shop, until] = VARIABLES.map(placeholder);
    json!({
        "campaign": "winter-2026", "template": 4711, "channel": "coupon",
        "to": {"city": city, "tier": tier},
        "message": format!("Dear {name}, your coupon waits for you at our store; show this message to our staff."),
        "coupon": {"points": points, "shop": shop, "until": until, "terms": "one coupon a person, not for resale, not for cash"},
        "tags": ["winter", "crm", "coupon", "member"],
    })
    .to_string()
}

fn program() -> Program {
    let parameter = |name| json!({"name": name, "type": "text"});
    let content: Content = serde_json::from_value(json!({
        "url": "https://crm.example.com/coupons",
        "parameters": VARIABLES.map(parameter),
        "body": {"kind": "json", "template": body(|name| format!("{{{name}}}"))},
    }))
    .expect("the content reads");
    let values: Value =
        VARIABLES.iter().map(|&name| (name.to_owned(), json!(format!("${{{name}}}")))).collect();
    let push: PushContent = serde_json::from_value(json!({
        "id_types": ["MOBILE"],
        "values": values,
        "variables": VARIABLES.map(|name| json!({"name": name, "source": {"tag": name}, "when_empty": "blank"})),
    }))
    .expect("the push reads");
    Program::compile(&content, &push, Heading::default()).expect("the push compiles")
}

/// `minijinja` with a formatter that escapes for JSON as serde does, in place of its automatic escaping.
fn environment() -> minijinja::Environment<'static> {
    let mut environment = minijinja::Environment::new();
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_formatter(|out, _, value| {
        let text = value.as_str().unwrap_or_default();
        let mut copied = 0;
        for (at, byte) in
            text.bytes().enumerate().filter(|&(_, byte)| byte < 0x20 || byte == b'"' || byte == b'\\')
        {
            out.write_str(&text[copied..at])?;
            copied = at + 1;
            match byte {
                b'"' => out.write_str("\\\"")?,
                b'\\' => out.write_str("\\\\")?,
                _ => write!(out, "\\u{byte:04x}")?,
            }
        }
        out.write_str(&text[copied..])?;
        Ok(())
    });
    environment
        .add_template_owned("body", body(|name| format!("{{{{ {name} }}}}")))
        .expect("the template parses");
    environment
}
