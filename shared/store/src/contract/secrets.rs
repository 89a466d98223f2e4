//! The contract of secrets.

use secrecy::{ExposeSecret, SecretSlice};

use super::unique;
use crate::{
    StoreError,
    ports::{SecretContext, Secrets},
};

/// Encryption and decryption.
pub async fn secrets(secrets: &dyn Secrets) {
    let context =
        SecretContext { workspace: "acme".to_owned(), webhook: unique("secrets"), field: "signing" };
    let plain: SecretSlice<u8> = vec![0, 255, 10, 128].into();
    let ciphertext = secrets.encrypt(&context, &plain).await.expect("encrypt");
    let back = secrets.decrypt(&context, &ciphertext).await.expect("decrypt");
    assert_eq!(back.expose_secret(), plain.expose_secret());
    let others = [
        SecretContext { workspace: "other".to_owned(), ..context.clone() },
        SecretContext { webhook: unique("secrets"), ..context.clone() },
        SecretContext { field: "header", ..context.clone() },
    ];
    for other in others {
        let refused = secrets.decrypt(&other, &ciphertext).await;
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{other:?}");
    }
    let organization = SecretContext::organization_key();
    let ciphertext = secrets.encrypt(&organization, &plain).await.expect("encrypt");
    let back = secrets.decrypt(&organization, &ciphertext).await.expect("decrypt");
    assert_eq!(back.expose_secret(), plain.expose_secret());
    let refused = secrets.decrypt(&context, &ciphertext).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "it is no webhook's");
    let broken = secrets.decrypt(&context, "not base64!").await;
    assert!(matches!(broken, Err(StoreError::Corrupt { .. })), "what is no ciphertext is refused");
}
