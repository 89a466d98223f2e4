//! Files that are not as they should be.

use anyhow::{Context, Result, ensure};
use fanhook_tests::{api::Part, crowd::gzip};
use serde_json::{Value, json};

use crate::world::{LONG, SHORT, WORKSPACE, World};

pub(crate) async fn a_wrong_header_fails_the_run_before_anything_is_sent(world: &World) -> Result<()> {
    let campaign = world.campaign("/status/200/header", json!({})).await?;
    let api = world.api()?;
    // The wrong file is the second: nothing of the first may be sent either.
    let fine =
        api.upload("audience", b"qaid,id.MOBILE,tag.city\nu1,+4915100000001,Berlin\n".to_vec()).await?;
    let wrong = api.upload("audience", b"qaid,phone,tag.city\nu2,+4915100000002,Berlin\n".to_vec()).await?;
    let started = api.ask_for_run(&campaign.push, &[fine, wrong], "header").await?.success("the start")?;
    let run = api.run_over(started["id"].as_str().context("no run")?, SHORT).await?;
    ensure!(run.state == "failed", "{run:?}");
    let mut failures =
        run.parts.iter().filter_map(|part| part.failure.as_deref()).chain(run.failure.as_deref());
    let named = |failure: &str| ["`phone`", "qaid", "id.", "tag."].iter().all(|word| failure.contains(word));
    ensure!(failures.any(named), "the columns found and expected are not named: {run:?}");
    ensure!(world.receiver.stats(&campaign.path).received == 0);
    Ok(())
}

/// Sends a file, and checks its counts and the lines that are reported.
async fn check(world: &World, name: &str, file: Vec<u8>, wanted: Part, bad: &[u64]) -> Result<()> {
    let campaign = world.campaign(&format!("/status/200/{name}"), json!({})).await?;
    let api = world.api()?;
    let upload = api.upload("audience", file).await?;
    let run = api.start(&campaign.push, &upload).await?;
    let run = api.run_over(&run, SHORT).await?;
    let reported = world.bucket()?.lines(&format!("reports/{WORKSPACE}/{upload}/")).await?;
    let lines: Vec<u64> = reported.iter().filter_map(|row| row["line"].as_u64()).collect();
    ensure!(lines == bad, "lines {lines:?} are reported: {reported:?}");
    ensure!(
        reported.iter().all(|row| row["reason"].as_str().is_some_and(|reason| !reason.is_empty())),
        "{reported:?}"
    );
    let [part] = run.parts.as_slice() else { anyhow::bail!("one part is expected: {run:?}") };
    let counts = |part: &Part| (part.recipients, part.bad_rows, part.duplicates, part.blanks, part.headers);
    ensure!(counts(part) == counts(&wanted), "{part:?}");
    ensure!(run.state == "finished" && run.outcome("delivered") == wanted.recipients, "{run:?}");
    ensure!(run.sum() == wanted.recipients, "{run:?}");
    Ok(())
}

pub(crate) async fn bad_rows_of_ndjson_are_reported_by_line_and_the_rest_is_sent(
    world: &World,
) -> Result<()> {
    let good = |n: u64| {
        json!({"qaid": format!("n{n}"), "ids": {"MOBILE": ["+4915100000001"]}, "tags": {"city": "Ulm"}})
            .to_string()
    };
    let rows: [(Vec<u8>, bool); 17] = [
        (good(1).into(), true),
        (b"not JSON".into(), false),
        (br#"{"ids":{"MOBILE":["+4915100000001"]}}"#.into(), false),
        (br#"{"qaid":""}"#.into(), false),
        (br#"{"qaid":5}"#.into(), false),
        (br#"{"qaid":"x","unknown":1}"#.into(), false),
        (br#"{"qaid":"x","qaid":"y"}"#.into(), false),
        (br#"{"qaid":"x","ids":{"FAX":["1"]}}"#.into(), false),
        (b"{\"qaid\":\"\xff\"}".into(), false),
        (br#"{"qaid":"\u0000"}"#.into(), false),
        (br#"{"qaid":"\ud800"}"#.into(), false),
        (format!(r#"{{"qaid":"x","tags":{{"city":"{}"}}}}"#, "u".repeat(64 * 1024)).into(), false),
        (good(2).into(), true),
        (br#"{"qaid":"x""#.into(), false),
        // Once more, and nothing: neither bad nor sent.
        (good(1).into(), true),
        (b"  ".into(), true),
        (good(3).into(), true),
    ];
    let bad: Vec<u64> = (1..).zip(&rows).filter(|(_, (_, fine))| !fine).map(|(line, _)| line).collect();
    let file = rows.map(|(row, _)| row).join(&b"\n"[..]);
    let wanted =
        Part { recipients: 3, bad_rows: bad.len() as u64, duplicates: 1, blanks: 1, ..Part::default() };
    check(world, "ndjson", gzip(&file), wanted, &bad).await
}

pub(crate) async fn bad_rows_of_csv_are_reported_by_line_and_the_rest_is_sent(world: &World) -> Result<()> {
    let file = concat!(
        "\u{feff}qaid,id.MOBILE,tag.name,tag.city\r\n",      // 1
        "c1,+4915100000001,Anna,Berlin\r\n",                 // 2
        "c2,+4915100000002\r\n",                             // 3: two cells
        "c3,+4915100000003,\"An\nna\",\"Lower, Upper\"\r\n", // 4 and 5
        "c4,+4915100000004,\"A\"nna,Berlin\r\n",             // 6: behind a closing quote
        ",+4915100000005,Anna,Berlin\r\n",                   // 7: nobody
        "\r\n",                                              // 8
        "c1,+4915100000001,Anna,Berlin\n",                   // 9: once more
        "c6,+4915100000006,,Berlin\n",                       // 10
        "c7,+4915100000007,\"Anna,Berlin\n",                 // 11: never closed
    );
    let wanted = Part { recipients: 3, bad_rows: 4, duplicates: 1, blanks: 1, headers: 1, ..Part::default() };
    check(world, "csv", file.into(), wanted, &[3, 6, 7, 11]).await
}

pub(crate) async fn a_truncated_file_fails_the_run_and_the_whole_file_completes_it(
    world: &World,
) -> Result<()> {
    // More than one segment of 32,000 lies before the break.
    const USERS: u64 = 60_000;
    let campaign =
        world.campaign("/status/200/truncated", json!({"content": {"deadline_seconds": 3}})).await?;
    let api = world.api()?;
    let whole = gzip(&world.crowd.inline_audience(0..USERS));
    let run = world.start(&campaign, whole[..whole.len() * 4 / 5].to_vec()).await?;
    let failed = api.run_over(&run, LONG).await?;
    ensure!(failed.state == "failed", "{failed:?}");
    let failure = failed.failure.clone().or(failed.parts[0].failure.clone()).unwrap_or_default();
    ensure!(failure.contains("truncated"), "{failed:?}");
    world.quiet().await?;
    let before = api.run(&run).await?;
    let seen = world.receiver.stats(&campaign.path);
    ensure!(before.outcome("delivered") == seen.unique, "{} taken: {before:?}", seen.unique);
    ensure!(before.recipients >= 32_000 && before.recipients < USERS, "{before:?}");

    // A file that begins otherwise is not the same audience.
    let other = api.upload("audience", gzip(&world.crowd.inline_audience(1..USERS))).await?;
    let answer = api.control(&run, "resume", Some(&json!({ "upload": other }))).await?;
    ensure!(answer.status == 409 && answer.code() == "audience_changed", "{answer:?}");
    let over = api.run_over(&run, LONG).await?;
    ensure!(over.state == "failed", "{over:?}");

    let again = api.upload("audience", whole).await?;
    resume(world, &run, &again).await?;
    let over = api.run_over(&run, LONG).await?;
    let seen = world.receiver.stats(&campaign.path);
    ensure!(
        over.state == "finished" && over.outcome("delivered") == USERS && over.sum() == USERS,
        "{over:?}"
    );
    ensure!((seen.unique, seen.duplicates) == (USERS, 0), "{} taken, {} again", seen.unique, seen.duplicates);
    Ok(())
}

async fn resume(world: &World, run: &str, upload: &str) -> Result<Value> {
    world.api()?.control(run, "resume", Some(&json!({ "upload": upload }))).await?.success("resume")
}
