//! The contract of a bucket.

use std::time::Duration;

use bytes::Bytes;

use super::unique;
use crate::ports::{ObjectError, Objects};

/// A bucket; `prefix` is where the suite may write, as in `segments/`.
pub async fn objects(objects: &dyn Objects, prefix: &str) {
    let root = format!("{prefix}{}", unique("objects"));
    ranges(objects, &format!("{root}/ranges 🎟")).await;
    pins(objects, &format!("{root}/pins")).await;
    empty(objects, &format!("{root}/empty")).await;
    lists(objects, &format!("{root}/lists")).await;
    let upload = objects.presign_put(&root, Duration::from_mins(1)).await.expect("presign_put");
    assert!(upload.method == "PUT" && upload.url.contains(&root), "{upload:?}");
    let download = objects.presign_get(&root, Duration::from_mins(1)).await.expect("presign_get");
    assert!(download.method == "GET" && download.url.contains(&root), "{download:?}");
}

async fn ranges(objects: &dyn Objects, key: &str) {
    let missing = objects.get(key, 0..10, None).await;
    assert!(matches!(missing, Err(ObjectError::NotFound)), "{missing:?}");
    let missing = objects.get(key, 0..0, None).await;
    assert!(matches!(missing, Err(ObjectError::NotFound)), "{missing:?}");
    objects.put(key, Bytes::from_static(b"0123456789")).await.expect("put");
    let cases: [(std::ops::Range<u64>, &str); 9] = [
        (0..10, "0123456789"),
        (0..u64::MAX, "0123456789"),
        (3..5, "34"),
        (9..10, "9"),
        (8..20, "89"),
        (10..20, ""),
        (11..20, ""),
        (4..4, ""),
        (10..10, ""),
    ];
    for (range, expected) in cases {
        let fetched = objects.get(key, range.clone(), None).await.expect("get");
        assert_eq!((&*fetched.bytes, fetched.size), (expected.as_bytes(), 10), "{range:?}");
    }
}

async fn pins(objects: &dyn Objects, key: &str) {
    objects.put(key, Bytes::from_static(b"old")).await.expect("put");
    let old = objects.get(key, 0..3, None).await.expect("get");
    for range in [0..3, 3..6, 1..1] {
        let pinned = objects.get(key, range, Some(&old.etag)).await.expect("get");
        assert_eq!(pinned.etag, old.etag);
    }
    objects.put(key, Bytes::from_static(b"newer")).await.expect("put");
    for range in [0..3, 5..6, 1..1] {
        let replaced = objects.get(key, range.clone(), Some(&old.etag)).await;
        assert!(matches!(replaced, Err(ObjectError::Replaced)), "{range:?}: {replaced:?}");
    }
    let newer = objects.get(key, 0..9, None).await.expect("get");
    assert_eq!((&*newer.bytes, newer.etag != old.etag), (&b"newer"[..], true));
}

async fn empty(objects: &dyn Objects, key: &str) {
    objects.put(key, Bytes::new()).await.expect("put");
    for range in [0..0, 0..10, 5..6] {
        let fetched = objects.get(key, range.clone(), None).await.expect("get");
        assert_eq!((fetched.bytes.len(), fetched.size, fetched.etag.is_empty()), (0, 0, false), "{range:?}");
    }
}

async fn lists(objects: &dyn Objects, root: &str) {
    let keys = ["a", "b/1", "b/2", "b2", "ü"].map(|name| format!("{root}/{name}"));
    for key in keys.iter().rev() {
        objects.put(key, Bytes::from_static(b"x")).await.expect("put");
    }
    assert_eq!(objects.list(&format!("{root}/"), None).await.expect("list"), keys);
    assert_eq!(objects.list(&format!("{root}/b/"), None).await.expect("list"), keys[1..3]);
    assert_eq!(objects.list(&format!("{root}/"), Some(&keys[1])).await.expect("list"), keys[2..]);
    assert_eq!(objects.list(&format!("{root}/none"), None).await.expect("list"), Vec::<String>::new());
}
