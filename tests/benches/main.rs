//! `make bench`: each figure is measured beside a known one in the same run.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark that fails says so and stops")]

mod render;

fn main() {
    let (render_ns, minijinja_ns) = render::render_bench();
    println!("{}", serde_json::json!({"render_ns": render_ns.round(), "minijinja_ns": minijinja_ns.round()}));
}
