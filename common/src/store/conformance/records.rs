//! Small records of the operator's.

use uuid::Uuid;

use super::Fixture;
use crate::store::RecordKind::Share;

pub async fn records_are_kept_until_they_are_deleted(mut fixture: impl Fixture) {
    let store = fixture.store();
    let [one, two] = [1, 2].map(Uuid::from_u128);
    assert_eq!(store.record(Share, one).await.unwrap(), None);
    assert_eq!(store.records(Share).await.unwrap(), []);
    assert!(!store.delete_record(Share, one).await.unwrap());
    for (id, bytes) in [(two, "of two"), (one, "replaced"), (one, "of one")] {
        store.put_record(Share, id, bytes.into()).await.unwrap();
    }
    let both = [(one, b"of one".to_vec()), (two, b"of two".to_vec())];
    assert_eq!(store.records(Share).await.unwrap(), both);
    fixture.reopen().await;
    let store = fixture.store();
    assert_eq!(store.records(Share).await.unwrap(), both);
    assert_eq!(store.record(Share, two).await.unwrap(), Some(b"of two".to_vec()));
    assert!(store.delete_record(Share, two).await.unwrap());
    assert!(!store.delete_record(Share, two).await.unwrap());
    assert_eq!(store.record(Share, two).await.unwrap(), None);
    assert_eq!(store.records(Share).await.unwrap(), both[..1]);
}
