//! Files that can't be read, or not further.

use fanhook_core::run::RunState;
use fanhook_store::{
    chunks::Fenced,
    keys,
    parts::{self, PartState},
};
use fanout::Outcome;

use crate::world::{SECOND, START, Setting, World, gzip, list, upload, with_ids, workspace, world};

/// Works a part that must fail, and answers the code.
async fn failing(world: &World, part: u16) -> &'static str {
    let outcome = world.work(part).await;
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    let row = world.part(part).await;
    assert_eq!((row.state, &row.owner), (PartState::Failed, &None));
    let run = world.run().await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.ended.is_some());
    let told = row.failure.unwrap();
    assert_eq!((run.failure, told.code), (Some(told.to_string()), failure.code));
    failure.code.name()
}

#[tokio::test]
async fn each_kind_of_wrong_file_has_its_code() {
    let truncated = gzip(&list(0..100_000));
    let truncated = truncated[..truncated.len() - 100].to_vec();
    let mut damaged = gzip(&list(0..100_000));
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xA5);
    for (file, code) in [
        (b"qaid,phone\n1,2\n".to_vec(), "wrong_header"),
        (b"id.MOBILE,tag.name\n1,2\n".to_vec(), "wrong_header"),
        (b"PK\x03\x04 an archive".to_vec(), "unsupported_file"),
        (b"PAR1\x15\x04\x15\x00".to_vec(), "unsupported_file"),
        (gzip(&gzip(b"user-1\n")), "unsupported_file"),
        (truncated, "file_truncated"),
        (damaged, "file_damaged"),
    ] {
        assert_eq!(failing(&world(&[file]).await, 0).await, code);
    }
}

#[tokio::test]
async fn a_wrong_header_is_told_with_the_columns_found_and_expected() {
    let world = world(&[b"qaid,phone\n1,2\n".to_vec()]).await;
    failing(&world, 0).await;
    let failure = world.run().await.failure.unwrap();
    for text in ["`phone`", "`id.<TYPE>`", "MOBILE", "`tag.<name>`", &upload(0).to_string()] {
        assert!(failure.contains(text), "{text} is not in: {failure}");
    }
}

#[tokio::test]
async fn a_wrong_header_in_any_file_fails_the_run_before_anything_is_written() {
    for (worked, wrong) in [(0, 1), (1, 0), (1, 1)] {
        let mut files = [list(0..10), list(10..20)];
        files[wrong] = b"qaid,phone\n1,2\n".to_vec();
        let world = world(&files).await;
        let outcome = world.work(worked).await;
        if usize::from(worked) == wrong {
            assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        } else {
            assert_eq!(outcome, Outcome::Waiting);
            assert_eq!(world.part(worked).await.state, PartState::Open);
            assert!(world.is_due(worked, START));
        }
        assert_eq!(world.run().await.state, RunState::Failed);
        let wrong = world.part(u16::try_from(wrong).unwrap()).await;
        assert_eq!(wrong.state, PartState::Failed, "so that a resume knows which file to ask for");
        assert!(world.objects.keys().iter().all(|key| key.starts_with("audiences/")));
        assert!(world.deliver.waiting().is_empty());
    }
}

#[tokio::test]
async fn a_missing_file_fails_the_run() {
    let one = world(&[list(0..10)]).await;
    one.objects.remove(&keys::uploaded("audiences", &workspace(), upload(0)));
    assert_eq!(failing(&one, 0).await, "file_missing");
    let two = world(&[list(0..10), list(10..20)]).await;
    two.objects.remove(&keys::uploaded("audiences", &workspace(), upload(1)));
    assert_eq!(two.work(0).await, Outcome::Waiting);
    assert_eq!(two.part(1).await.state, PartState::Failed);
}

/// A run whose file broke off after two segments.
async fn broken_off() -> World {
    let whole = gzip(&with_ids(0..5_000));
    let world = Setting::all().run(&[whole[..whole.len() - 100].to_vec()]).await;
    assert_eq!(failing(&world, 0).await, "file_truncated");
    let commit = world.part(0).await.commit;
    assert_eq!((commit.segments, commit.recipients), (2, 4_000), "what was read before holds");
    assert_eq!(world.users(0).await.len(), 4_000);
    world
}

/// A run whose plain file is gone after some segments.
async fn gone() -> World {
    let world = Setting::all().run(&[with_ids(0..5_000)]).await;
    assert_eq!(world.work_shortly(0, START).await, Outcome::HandedOver);
    world.clock.advance(400 * SECOND);
    assert!((1..5_000).contains(&world.users(0).await.len()));
    world.objects.remove(&keys::uploaded("audiences", &workspace(), upload(0)));
    assert_eq!(failing(&world, 0).await, "file_missing");
    world
}

#[tokio::test]
async fn a_file_that_is_replaced_while_it_is_read_is_never_mixed() {
    for (begun, other) in [
        (with_ids(0..5_000), with_ids(1..5_001)),
        (with_ids(0..5_000), with_ids(0..5_001)),
        (gzip(&with_ids(0..9_000)), gzip(&with_ids(1..9_001))),
    ] {
        let world = Setting::all().run(&[begun]).await;
        assert_eq!(world.work_shortly(0, START).await, Outcome::HandedOver);
        let before = world.users(0).await;
        world.clock.advance(400 * SECOND);
        world.put(upload(0), &other).await;
        assert_eq!(failing(&world, 0).await, "file_replaced");
        assert_eq!(world.users(0).await, before);
    }
}

async fn resume(world: &World, file: &[u8]) {
    world.put(upload(9), file).await;
    let part = world.part(0).await;
    assert_eq!(parts::reopen(&*world.ledger, &part, upload(9)).await.unwrap(), Fenced::Held);
    world.set_state(RunState::Running).await;
}

#[tokio::test]
async fn a_resume_goes_on_behind_the_commit_point_where_the_beginning_is_the_same() {
    let content = with_ids(0..5_000);
    for file in [gzip(&content), content.clone()] {
        for world in [broken_off().await, gone().await] {
            let chunks = world.chunks(0).await;
            resume(&world, &file).await;
            assert_eq!(world.work(0).await, Outcome::Ended);
            assert_eq!(world.users(0).await.len(), 5_000);
            assert_eq!(
                world.chunks(0).await[..chunks.len()],
                chunks,
                "chunks that are there stay as they are"
            );
            assert_eq!(world.part(0).await.failure, None);
        }
    }
}

#[tokio::test]
async fn a_resume_with_another_beginning_is_refused() {
    let mut first_byte = with_ids(0..5_000);
    first_byte[9] = b'U';
    for file in [first_byte.clone(), gzip(&first_byte), with_ids(0..1_000), gzip(b""), with_ids(1..5_000)] {
        for world in [broken_off().await, gone().await] {
            let before = world.users(0).await;
            resume(&world, &file).await;
            assert_eq!(failing(&world, 0).await, "audience_changed");
            assert_eq!(world.users(0).await, before);
            // The file that was refused is not taken for the one that was begun with.
            resume(&world, &with_ids(0..5_000)).await;
            assert_eq!(world.work(0).await, Outcome::Ended);
            assert_eq!(world.users(0).await.len(), 5_000);
        }
    }
}

#[tokio::test]
async fn a_failed_part_whose_run_did_not_hear_of_it_fails_the_run() {
    let world = broken_off().await;
    world.set_state(RunState::Running).await;
    assert_eq!(world.work(0).await, Outcome::Over);
    assert_eq!(world.run().await.state, RunState::Failed);
}
