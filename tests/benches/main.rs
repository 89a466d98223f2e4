//! `make bench`: each figure is measured beside a known one in the same run.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark that fails says so and stops")]

mod api;
mod cold_start;
mod deliver;
mod fanout;
mod render;
mod usage;

fn main() {
    // This program is also its own helpers.
    if fanout::is_fanout_child() || deliver::is_deliver_receiver() {
        return;
    }
    let (render_ns, minijinja_ns) = render::render_bench();
    println!("render: {render_ns:.0} ns a body, minijinja {minijinja_ns:.0} ns");
    let fanout = fanout::fanout_bench();
    let (lines, ratio) = (fanout.lines_per_cpu_s, fanout.memory_ratio);
    println!("fan-out: {lines:.0} lines a CPU second; ten times the lines, {ratio:.2} times the memory");
    let deliver = deliver::deliver_bench();
    let (bare, whole) = (deliver.reqwest_cpu_us, deliver.deliver_cpu_us);
    println!("reqwest: {bare:.1} µs of CPU a request, {:.0} requests/s", deliver.reqwest_per_s);
    println!("deliver: {whole:.1} µs of CPU a request, {:.0} requests/s", deliver.deliver_per_s);
    let cold_start_ms = cold_start::cold_start_bench();
    println!("cold starts: {cold_start_ms:?} ms");
    let api = api::api_bench();
    let (read_ms, at_once_ms) = (api.read_ms, api.at_once_ms);
    println!(
        "API: a webhook is read in {read_ms:.2} ms (median), an answer at once takes {at_once_ms:.2} ms"
    );
    println!(
        "{}",
        serde_json::json!({
            "reqwest_cpu_us": rounded(deliver.reqwest_cpu_us),
            "deliver_cpu_us": rounded(deliver.deliver_cpu_us),
            "ratio": rounded(deliver.ratio),
            "fanout_lines_per_cpu_s": fanout.lines_per_cpu_s.round(),
            "fanout_memory_ratio": rounded(fanout.memory_ratio),
            "render_ns": render_ns.round(),
            "minijinja_ns": minijinja_ns.round(),
            "cold_start_ms": cold_start_ms,
            "api_read_ms": rounded(api.read_ms),
            "api_at_once_ms": rounded(api.at_once_ms),
            "api_ratio": rounded(api.read_ms / api.at_once_ms),
        })
    );
}

/// To three decimal places.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
