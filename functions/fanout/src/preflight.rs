//! The heads of all files of an audience are read before any chunk of it is written: a wrong header fails the run before anything
//! is sent, whichever file it stands in.

use fanhook_core::{chunk::Part as Number, id::IdTypeCode};
use fanhook_store::{
    StoreResult,
    files::{self, FileFailure},
    keys,
    parts::{Part, PartState},
    ports::Objects,
    runs::Run,
};
use futures_util::future::try_join_all;

/// What is wrong with the files that nothing was read of yet.
pub(crate) async fn check(
    objects: &dyn Objects,
    run: &Run,
    parts: &[Part],
    types: &[IdTypeCode],
) -> StoreResult<Vec<(Number, FileFailure)>> {
    let unread = parts.iter().filter(|part| part.state == PartState::Open && part.commit.position.is_none());
    let heads = unread.map(async |part| {
        let key = keys::uploaded("audiences", &run.workspace, part.upload);
        let failure = files::check_head(objects, &key, types.to_vec()).await?;
        StoreResult::Ok(failure.map(|failure| (part.part, failure)))
    });
    Ok(try_join_all(heads).await?.into_iter().flatten().collect())
}
