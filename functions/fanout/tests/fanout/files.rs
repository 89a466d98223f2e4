//! What files become.

use fanhook_core::run::RunState;
use fanhook_store::parts::PartState;
use fanout::Outcome;

use crate::world::{Setting, gzip, list, workspace, world, zstd};

#[tokio::test]
async fn an_empty_file_ends_without_recipients() {
    for file in [list(0..0), b"\n\n".to_vec(), gzip(b""), b"qaid,tag.name\n".to_vec()] {
        let world = world(&[file]).await;
        assert_eq!(world.work(0).await, Outcome::Ended);
        let part = world.part(0).await;
        assert_eq!((part.state, part.commit.recipients, part.commit.chunks), (PartState::Ended, 0, 0));
        assert_eq!(
            world.run().await.state,
            RunState::Starting,
            "nothing runs; `dispatch` sees that it is over"
        );
        assert!(world.objects.keys().iter().all(|key| key.starts_with("audiences/")));
    }
}

#[tokio::test]
async fn chunks_have_500_recipients_but_for_the_last_and_segments_64_chunks() {
    for (users, chunks, segments) in [(1, 1, 1), (500, 1, 1), (501, 2, 1), (32_000, 64, 1), (32_001, 65, 2)] {
        let world = world(&[list(0..users)]).await;
        assert_eq!(world.work(0).await, Outcome::Ended);
        let commit = world.part(0).await.commit;
        assert_eq!((commit.recipients, commit.chunks, commit.segments), (users as u64, chunks, segments));
        let lines = world.chunks(0).await;
        assert!(lines[..lines.len() - 1].iter().all(|chunk| chunk.len() == 500));
        let expected: Vec<String> = (0..users).map(|user| format!("user-{user}")).collect();
        assert_eq!(world.users(0).await, expected);
        assert_eq!(world.released(0), (0..chunks).collect::<Vec<_>>(), "a small push starts at once");
        assert_eq!(world.run().await.state, RunState::Running);
    }
}

#[tokio::test]
async fn chunks_hold_whole_batches() {
    for (batch_size, size, chunks) in [(50, 500, 64), (300, 300, 64), (1000, 1000, 32)] {
        let users = size * chunks + 1;
        let world =
            Setting { batch_size: Some(batch_size), ..Setting::default() }.run(&[list(0..users)]).await;
        assert_eq!(world.work(0).await, Outcome::Ended);
        let lines = world.chunks(0).await;
        let sizes: Vec<usize> = lines.iter().map(Vec::len).collect();
        assert_eq!(sizes, [vec![size; chunks], vec![1]].concat());
        assert_eq!(world.part(0).await.commit.segments, 2);
    }
}

#[tokio::test]
async fn every_format_gives_the_same_recipients() {
    let csv =
        "\u{feff}qaid,id.MOBILE,tag.name\r\nuser-1,+14155550001,\"Ann, \"\"A\"\"\nLee\"\r\nuser-2,,\r\n";
    let ndjson = concat!(
        r#"{"qaid":"user-1","ids":{"MOBILE":["+14155550001"]},"tags":{"name":"Ann, \"A\"\nLee"}}"#,
        "\n",
        r#"{"qaid":"user-2"}"#
    );
    let expected = vec![vec![ndjson.lines().next().unwrap().to_owned(), r#"{"qaid":"user-2"}"#.to_owned()]];
    for content in [csv, ndjson] {
        for file in [content.as_bytes().to_vec(), gzip(content.as_bytes()), zstd(content.as_bytes())] {
            let world = world(&[file]).await;
            assert_eq!(world.work(0).await, Outcome::Ended);
            assert_eq!(world.chunks(0).await, expected);
        }
    }
    for file in [b"user-1\nuser-2".to_vec(), gzip(b"user-1\r\nuser-2\r\n"), zstd(b"user-1\n\nuser-2\n")] {
        let world = world(&[file]).await;
        assert_eq!(world.work(0).await, Outcome::Ended);
        assert_eq!(world.users(0).await, ["user-1", "user-2"]);
    }
}

#[tokio::test]
async fn a_user_is_a_duplicate_however_its_line_is_written() {
    let lines = [
        r#"{"qaid":"u1","tags":{"city":"Ulm"}}"#,
        r#"{"tags":{"city":"Bonn"},"qaid":"u1"}"#,
        r#"{"ids":{"EMAIL":["a@example.com"]},"qaid":"u1"}"#,
        r#"{"qaid":"\u00751"}"#,
        r#"{ "qaid" : "u1" }"#,
        r#"{"ids":{"EMAIL":["a@example.com"]},"qaid":"u2"}"#,
        r#"{"qaid":"u2"}"#,
    ];
    let world = world(&[lines.join("\n").into_bytes()]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    let commit = world.part(0).await.commit;
    assert_eq!((commit.recipients, commit.duplicates, commit.bad_rows), (2, 5, 0));
}

#[tokio::test]
async fn records_are_recipients_bad_rows_duplicates_blanks_and_header() {
    let file = "qaid,tag.name\nann,Ann\nbob\n\nann,Again\n\"eve,Eve\nbob,Bob\n";
    let world = world(&[file.as_bytes().to_vec()]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    let commit = world.part(0).await.commit;
    assert_eq!((commit.recipients, commit.bad_rows, commit.duplicates), (2, 2, 1));
    assert_eq!((commit.blanks, commit.headers, commit.lines), (1, 1, 7));
    assert_eq!(
        world.chunks(0).await,
        [[r#"{"qaid":"ann","tags":{"name":"Ann"}}"#, r#"{"qaid":"bob","tags":{"name":"Bob"}}"#]],
        "of a user met again the first row holds"
    );
    let reports = world.reports();
    assert_eq!(reports.len(), 2);
    assert!(reports[0].starts_with(r#"{"line":3,"reason":""#), "{}", reports[0]);
    assert!(reports[1].starts_with(r#"{"line":6,"reason":""#), "{}", reports[1]);
    let key = world.objects.keys().into_iter().find(|key| key.starts_with("reports/")).unwrap();
    let upload = world.part(0).await.upload;
    assert_eq!(key, format!("reports/{}/{upload}/{}-00000/000000.ndjson", workspace(), world.run));
}

#[tokio::test]
async fn a_file_of_bad_rows_alone_is_read_to_its_end() {
    let world = world(&[b"{\"qaid\":1}\n".repeat(40_000)]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    let commit = world.part(0).await.commit;
    assert_eq!((commit.recipients, commit.bad_rows, commit.chunks), (0, 40_000, 0));
    assert_eq!(world.reports().len(), 40_000);
    assert!(commit.segments > 1, "the report is written in pieces, so that memory stays flat");
}

#[tokio::test]
async fn a_user_is_told_by_the_whole_qaid() {
    let file = "user-1\nuser-10\nuser-1\n USER-1\nuser-1\\\n\"x\\\"\n\"x\n\"x\\\"\n";
    let world = world(&[file.as_bytes().to_vec()]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    assert_eq!(world.part(0).await.commit.duplicates, 2);
    assert_eq!(world.users(0).await, ["user-1", "user-10", " USER-1", "user-1\\", "\"x\\\"", "\"x"]);
}

#[tokio::test]
async fn a_user_met_again_in_another_segment_is_a_recipient() {
    let file = [list(0..32_000), list(0..1)].concat();
    let world = world(&[file]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    let commit = world.part(0).await.commit;
    assert_eq!((commit.recipients, commit.duplicates), (32_001, 0));
}

#[tokio::test]
async fn long_records_make_small_chunks() {
    let line =
        |user| format!("{{\"qaid\":\"user-{user}\",\"tags\":{{\"essay\":\"{}\"}}}}\n", "x".repeat(60_000));
    let file: String = (0..300).map(line).collect();
    let world = world(&[file.into_bytes()]).await;
    assert_eq!(world.work(0).await, Outcome::Ended);
    let commit = world.part(0).await.commit;
    assert_eq!(commit.recipients, 300);
    assert!(commit.segments > 1, "a segment is bounded in bytes");
    for chunk in world.chunks(0).await {
        let bytes: usize = chunk.iter().map(|line| line.len() + 1).sum();
        assert!(bytes <= 2 << 20, "a chunk of {bytes} bytes");
    }
}

#[tokio::test]
async fn under_policy_all_each_id_of_a_user_is_a_recipient() {
    let many: Vec<String> = (0..60).map(|n| format!("\"+1415555{n:04}\"")).collect();
    let file = format!(
        "{{\"qaid\":\"none\",\"tags\":{{\"name\":\"N\"}}}}\n{{\"qaid\":\"two\",\"ids\":{{\"MOBILE\":[\"+14155550001\",\"+14155550002\"]}}}}\n\
         {{\"qaid\":\"many\",\"ids\":{{\"MOBILE\":[{}]}}}}\n{{\"qaid\":\"known\"}}\n",
        many.join(",")
    );
    let world = Setting::all().run(&[file.into_bytes()]).await;
    let said = serde_json::json!({"updated": 1, "ids": {"MOBILE": ["+14155550099"]}});
    let (qaid, source) = ("known".parse().unwrap(), "crm".parse().unwrap());
    let said = serde_json::from_value(said).unwrap();
    fanhook_store::profiles::put_source(&*world.profiles, &workspace(), &qaid, &source, &said).await.unwrap();
    assert_eq!(world.work(0).await, Outcome::Ended);
    let lines: Vec<String> = world.chunks(0).await.into_iter().flatten().collect();
    assert_eq!(lines.len(), 1 + 2 + 50 + 1, "at most 50 IDs of a user");
    assert_eq!(lines[0], r#"{"qaid":"none","tags":{"name":"N"}}"#);
    assert_eq!(lines[1], r#"{"qaid":"two","id":{"type":"MOBILE","value":"+14155550001"}}"#);
    assert_eq!(lines[53], r#"{"qaid":"known","id":{"type":"MOBILE","value":"+14155550099"}}"#);
}
